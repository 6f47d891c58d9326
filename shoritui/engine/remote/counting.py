"""How many tokens texts have on a server: exactly where it tells, else an estimate.

It does not know the model, nor why anybody counts.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from shoritui.engine.remote.kinds import Kind
from shoritui.engine.remote.pieces import encodable
from shoritui.engine.remote.wire import Refused, Wire
from shoritui.errors import UserError

CAPACITY: Final = 20_000
"""Texts whose counts are remembered; far more than one chat has blocks."""
AT_ONCE: Final = 8
"""Requests under way beside each other."""

_BARRIER: Final = "\n"
"""A token of its own: what follows it is split as it is within a prompt."""


class Counter:
    """Counts the tokens of texts as a server splits them."""

    def __init__(self, wire: Wire, kind: Kind, model: str) -> None:
        self._wire, self._kind, self._model = wire, kind, model
        self._before = 0
        self._known: OrderedDict[str, int] = OrderedDict()
        self.is_exact = kind.route is not None
        """Whether the server counts; else the counts are estimates, rather too high."""

    @classmethod
    async def make(cls, wire: Wire, kind: Kind, model: str) -> Counter:
        """A counter that has tried the server's own one, where that kind has one."""
        counter = cls(wire, kind, model)
        if counter.is_exact:
            try:
                counter._before = len(await counter.ids(_BARRIER))
            except Refused:
                counter.is_exact = False
        return counter

    @property
    def beginning(self) -> int:
        """The tokens that the server puts before every prompt."""
        return max(0, self._before - 1)

    async def count(self, texts: Iterable[str]) -> list[int]:
        """The tokens of each text, inside a prompt."""
        texts = list(texts)
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        limit = asyncio.Semaphore(AT_ONCE)

        async def ask(text: str) -> int:
            async with limit:
                return await self._one(text)

        counts = dict(zip(new, await asyncio.gather(*map(ask, new)), strict=True))
        return [self._remember(text, counts) for text in texts]

    def about(self, texts: Iterable[str]) -> int:
        """The tokens of a prompt as far as they are known, without asking."""
        return self.beginning + sum(self._known.get(text) or estimate(text) for text in texts)

    async def ids(self, text: str) -> list[int]:
        """The ids of a prompt. Raises `UserError` where the server does not tell them."""
        route = self._kind.route
        if route is None:
            raise UserError(f"{self._kind.name} does not tell its tokens.")
        body = {route.text: encodable(text), **route.extra, **self._which_model()}
        ids = _field(await self._wire.post(route.encode, body), route.ids)
        if not isinstance(ids, list) or not all(isinstance(id_, int) for id_ in ids):
            raise UserError(f"{self._kind.name} tells its tokens in a form that is not known.")
        return ids

    async def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text of each token; U+FFFD for one that is no text by itself."""
        limit = asyncio.Semaphore(AT_ONCE)

        async def ask(id_: int) -> str:
            async with limit:
                return await self._piece(id_)

        texts = dict(
            zip(new := list(dict.fromkeys(ids)), await asyncio.gather(*map(ask, new)), strict=True)
        )
        return [texts[id_] for id_ in ids]

    async def token(self, text: str) -> int | None:
        """The id of a text that is one token inside a prompt; None if it is not one."""
        if not self.is_exact:
            return None
        ids = (await self.ids(_BARRIER + text))[self._before :]
        return ids[0] if len(ids) == 1 else None

    async def _one(self, text: str) -> int:
        if not self.is_exact:
            return estimate(text)
        return max(0, len(await self.ids(_BARRIER + text)) - self._before)

    async def _piece(self, id_: int) -> str:
        route = self._kind.route
        if route is None:
            raise UserError(f"{self._kind.name} does not tell its tokens.")
        try:
            body = {route.decode_ids: [id_], **self._which_model()}
            said = await self._wire.post(route.decode, body)
        except Refused:
            return "\ufffd"  # Part of a character.
        text = _field(said, route.decode_text)
        return encodable(text) if isinstance(text, str) else "\ufffd"

    def _which_model(self) -> dict[str, str]:
        return {"model": self._model} if self._model else {}

    def _remember(self, text: str, counts: dict[str, int]) -> int:
        count = counts[text] if text in counts else self._known[text]
        self._known[text] = count
        self._known.move_to_end(text)
        if len(self._known) > CAPACITY:
            self._known.popitem(last=False)
        return count


def estimate(text: str) -> int:
    """About how many tokens a text has, rather too many than too few.

    Prose of the format has 3.6 bytes a token in the vocabularies of this model family.
    """
    size = len(text.encode("utf-8", "replace"))
    others = size - sum(character.isascii() for character in text)
    return -(-size // 3) + others // 4 if text else 0


def _field(said: object, name: str) -> Any:
    return said.get(name) if isinstance(said, dict) else None
