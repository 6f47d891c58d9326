"""The ids of every text the engine has met: nothing is tokenised twice, generated ids stay.

It does not know what the texts mean or which of their ids are in the KV cache.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Sequence
from typing import Final

from shoritui.engine.model import Model
from shoritui.engine.spellings import Spellings

CAPACITY: Final = 20_000
"""Texts remembered; far more than one chat has blocks."""


class Tokens:
    """Turns texts into ids, exactly as the whole prompt would be tokenised."""

    def __init__(self, model: Model, spellings: Spellings) -> None:
        """`spellings`: where ids that were generated stay known over restarts."""
        self._model = model
        self._spellings = spellings
        self._known: OrderedDict[tuple[str, bool], tuple[int, ...]] = OrderedDict()
        self._latest = ""
        """A text that may be growing, word by word."""

    def ids(self, text: str, *, first: bool = False) -> tuple[int, ...]:
        """The ids of one segment; the first one of a document also carries what begins a prompt."""
        key = (text, first)
        ids = self._known.get(key)
        if ids is None:
            ids = self._spellings.get(text, first) or self._tokenize(text, first)
        self._remember(key, ids)
        return ids

    def document(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """The ids of a whole prompt, block by block."""
        return [self.ids(text, first=index == 0) for index, text in enumerate(texts)]

    def keep(self, text: str, ids: Sequence[int], *, first: bool = False) -> None:
        """From now on `text` has these ids: those that were generated, however they split it."""
        if tuple(ids) != self.ids(text, first=first):
            self._spellings.keep(text, first, tuple(ids))
        self._remember((text, first), tuple(ids))

    def bodies(self, texts: Sequence[str], window: int, without: Container[int]) -> list[int]:
        """The last `window` ids of message bodies, newest last, those in `without` left out."""
        newest_first: list[int] = []
        for text in reversed(texts):
            ids = self.ids(" " + text.lstrip(" "))
            newest_first += [token for token in reversed(ids) if token not in without]
            if len(newest_first) >= window:
                break
        return newest_first[:window][::-1]

    def _tokenize(self, text: str, first: bool) -> tuple[int, ...]:
        if not first:
            return self._grown(text) or tuple(self._model.tokenize(text))
        begin = () if self._model.bos is None else (self._model.bos,)
        prefix = " " if self._model.space_prefix else ""
        return (*begin, *self._model.tokenize(prefix + text))

    def _grown(self, text: str) -> tuple[int, ...] | None:
        """The ids of a text that begins with the one before and goes on with a space.

        There a cut changes no token, where block marks are tokens of their own.
        """
        before, self._latest = self._latest, text
        known = self._known.get((before, False))
        grows = text.startswith(before + " ") and not before.endswith(" ")
        if not before or known is None or not grows or not self._model.block_tokens:
            return None
        return (*known, *self._model.tokenize(text[len(before) :]))

    def _remember(self, key: tuple[str, bool], ids: tuple[int, ...]) -> None:
        self._known[key] = ids
        self._known.move_to_end(key)
        if len(self._known) > CAPACITY:
            self._known.popitem(last=False)
