"""What penalties and DRY look back on: the chat's message bodies, then what is being written.

It does not know what they do with it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

import numpy as np

from shoritui.engine.candidates import Candidates
from shoritui.engine.samplers import Sampler
from shoritui.engine.tokens import Tokens


class Remembering:
    """A sampler that counts the tokens of one message on top of those of the chat.

    It changes the scores of counted tokens alone: the others, nearly all, need no look.
    """

    def __init__(
        self, before: Sampler, seen: Sequence[int], uncounted: Container[int] = ()
    ) -> None:
        """`before` has counted `seen` and stays its owner's; `uncounted` are never counted."""
        self._before, self._uncounted = before, uncounted
        self.sampler = before.clone()
        """What counts now; another one after `recount`."""
        self._written: list[int] = []
        self._seen = set(seen)
        self._ids = np.fromiter(self._seen, np.int32)

    def apply(self, candidates: Candidates) -> None:
        """Do the sampler's step."""
        if not candidates.whole:
            self.sampler.apply(candidates)
            return
        if len(self._ids) < len(self._seen):
            self._ids = np.fromiter(self._seen, np.int32)
        some = candidates.some(self._ids)
        self.sampler.apply_to(some)
        some.put_back()

    def count(self, tokens: Iterable[int]) -> None:
        """See these tokens written."""
        counted = [token for token in tokens if token not in self._uncounted]
        self.sampler.count(counted)
        self._written += counted
        self._seen.update(counted)

    def has_counted(self, token: int) -> bool:
        """The sampler itself has seen this token; whether it may stay counted."""
        if token in self._uncounted:
            self.recount(self._written)
            return False
        self._written.append(token)
        self._seen.add(token)
        return True

    def recount(self, tokens: Iterable[int]) -> None:
        """Have seen only these tokens of the message."""
        self.sampler.free()
        self.sampler = self._before.clone()
        written, self._written = list(tokens), []
        self.count(written)

    def free(self) -> None:
        """Give the memory back."""
        self.sampler.free()


def sequence(
    tokens: Tokens, bodies: Sequence[str], window: int, border: Sequence[int], *, goes_on: bool
) -> list[int]:
    """The last `window` ids of message bodies for DRY, oldest first, `border` after each.

    Where the last body `goes_on` in what is written now, no border comes after it.
    """
    newest_first: list[int] = []
    for index, text in enumerate(reversed(bodies)):
        if index or not goes_on:
            newest_first += reversed(border)
        newest_first += reversed(tokens.ids(" " + text.lstrip(" ")))
        if len(newest_first) >= window:
            break
    return newest_first[:window][::-1]
