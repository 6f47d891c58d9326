"""How many tokens texts have on a server: exactly where it tells, else an estimate."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Annotated, Final, TypeVar

from msgspec import Meta

from shoritui.engine.interface import PromptPlan
from shoritui.engine.remote.http import HttpClient, Refused
from shoritui.engine.remote.profiles import ServerProfile
from shoritui.errors import UserError
from shoritui.text import encodable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

CAPACITY: Final = 20_000
"""Texts whose counts are remembered; far more than one chat has blocks."""
AT_ONCE: Final = 8
"""Requests under way beside each other."""
COUNT_SECONDS: Final = 120.0
"""How long it may take to count all texts of a prompt."""
_FOR_A_BYTE: Final = 4
"""The most tokens; it is one, but for signs that a vocabulary spells out."""
_AROUND: Final = 16
"""Tokens that a server may put around a text."""
_LONGEST_PIECE: Final = 400

_Ids = list[Annotated[int, Meta(ge=0, lt=2**31)]]

_BARRIER: Final = "\n"
"""A token of its own: what follows it is split as it is within a prompt."""


class RemoteTokenizer:
    """Counts the tokens of texts as a server splits them."""

    def __init__(self, http: HttpClient, profile: ServerProfile, model: str) -> None:
        self._http, self._profile, self._model = http, profile, model
        self._before = 0
        self._known: OrderedDict[str, int] = OrderedDict()
        self.is_exact = profile.route is not None
        """Whether the server counts; else the counts are estimates, rather too high."""

    @classmethod
    async def make(cls, http: HttpClient, profile: ServerProfile, model: str) -> RemoteTokenizer:
        """A tokenizer that has tried the server's own one, where that profile has one."""
        tokenizer = cls(http, profile, model)
        if tokenizer.is_exact:
            try:
                tokenizer._before = len(await tokenizer.ids(_BARRIER))
            except Refused:
                tokenizer.is_exact = False
        return tokenizer

    @property
    def beginning(self) -> int:
        """The tokens that the server puts before every prompt."""
        return max(0, self._before - 1)

    async def count(self, texts: Iterable[str]) -> list[int]:
        """The tokens of each text, inside a prompt."""
        texts = list(texts)
        unknown = [text for text in texts if text not in self._known]
        async with self._http.patient(COUNT_SECONDS):
            counts = await _each(unknown, self._one)
        return [self._remember(text, counts) for text in texts]

    def about(self, texts: Iterable[str]) -> int:
        """The tokens of a prompt as far as they are known, without asking."""
        return self.beginning + sum(self._known.get(text) or estimate(text) for text in texts)

    async def ids(self, text: str) -> list[int]:
        """The ids of a prompt. Raises `UserError` where the server does not tell them."""
        route = self._profile.route
        if route is None:
            raise UserError(f"{self._profile.name} does not tell its tokens.")
        body = {route.text: encodable(text), **route.extra, **self._which_model()}
        said = (await self._http.post(route.encode, body)).get(route.ids)
        least, most = bool(text), _FOR_A_BYTE * len(text.encode("utf-8", "replace")) + _AROUND
        if isinstance(said, list) and not least <= len(said) <= most:
            what = f"{route.ids}: expected {least:d} to {most:,} for this text, not {len(said):,}"
            raise self._http.misfit(route.encode, what)
        return self._http.read(route.encode, said, _Ids, route.ids)

    async def plan(self, texts: Sequence[str]) -> PromptPlan:
        """The tokens of each text of a prompt; nobody knows which of them the server holds."""
        if not self.is_exact or not texts:
            counts = await self.count(texts)
            return PromptPlan(tuple(counts), None, None, is_exact=False)
        first, whole = await self.ids(texts[0]), await self.ids("".join(texts))
        rest = await _each(texts[1:], self._inside)
        ids = (tuple(first), *(tuple(rest[text]) for text in texts[1:]))
        is_exact = [id_ for block in ids for id_ in block] == whole
        return PromptPlan(tuple(map(len, ids)), ids, None, is_exact=is_exact)

    async def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text of each token; U+FFFD for one that is no text by itself."""
        texts = await _each(ids, self._piece)
        return [texts[id_] for id_ in ids]

    async def token(self, text: str) -> int | None:
        """The id of a text that is one token inside a prompt; None if it is not one."""
        if not self.is_exact:
            return None
        ids = await self._inside(text)
        return ids[0] if len(ids) == 1 else None

    async def _inside(self, text: str) -> list[int]:
        """The ids of a text inside a prompt."""
        return (await self.ids(_BARRIER + text))[self._before :]

    async def _one(self, text: str) -> int:
        if not self.is_exact:
            return estimate(text)
        return len(await self._inside(text))

    async def _piece(self, id_: int) -> str:
        route = self._profile.route
        if route is None:
            raise UserError(f"{self._profile.name} does not tell its tokens.")
        try:
            body = {route.decode_ids: [id_], **self._which_model()}
            said = await self._http.post(route.decode, body)
        except Refused:
            return "\ufffd"  # Part of a character.
        text = self._http.read(route.decode, said.get(route.decode_text), str, route.decode_text)
        return encodable(text[:_LONGEST_PIECE])

    def _which_model(self) -> dict[str, str]:
        return {"model": self._model} if self._model else {}

    def _remember(self, text: str, counts: dict[str, int]) -> int:
        count = counts[text] if text in counts else self._known[text]
        self._known[text] = count
        self._known.move_to_end(text)
        if len(self._known) > CAPACITY:
            self._known.popitem(last=False)
        return count


async def _each(items: Iterable[K], ask: Callable[[K], Awaitable[V]]) -> dict[K, V]:
    """Ask for each different item, a few beside each other."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(item: K) -> V:
        async with limit:
            return await ask(item)

    different = list(dict.fromkeys(items))
    tasks = [asyncio.create_task(one(item)) for item in different]
    try:
        return dict(zip(different, await asyncio.gather(*tasks), strict=True))
    finally:
        for task in tasks:
            task.cancel()


def estimate(text: str) -> int:
    """About how many tokens a text has, rather too many than too few.

    Prose of the format has 3.6 bytes a token in the vocabularies of this model family.
    """
    size = len(text.encode("utf-8", "replace"))
    others = size - sum(character.isascii() for character in text)
    return -(-size // 3) + others // 4 if text else 0
