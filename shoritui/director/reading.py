"""What the model reads now: the document, with old messages left out once the context is full.

It does not know who speaks or why; it counts tokens by asking the engine, each text once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shoritui.blockml import Length, token_range
from shoritui.cards import Card
from shoritui.director import document as doc
from shoritui.engine import AnyEngine, Segment
from shoritui.errors import UserError
from shoritui.settings import Settings
from shoritui.story import Entry


@dataclass(frozen=True, slots=True)
class Document:
    """The segments of one prompt, and the first of the given entries that is in it."""

    segments: list[Segment]
    first: int


@dataclass(frozen=True, slots=True)
class _Measured:
    """An entry's segment and those of the lore that fires at it, and all their tokens."""

    segments: list[Segment]
    size: int


@dataclass(frozen=True, slots=True)
class Page:
    """What a document is made of: the scene, the story, and the block that is open at its end."""

    scene: Card
    user: str
    entries: Sequence[Entry]
    opened: Segment
    length: Length | None
    """The hint of the reply that there must be room for."""


class Reader:
    """Composes documents that fit the engine's context."""

    def __init__(self, engine: AnyEngine, settings: Settings) -> None:
        self.form = doc.Form(settings.instruction, settings.instruction_place, settings.ooc_form)
        self._engine = engine
        self._max_tokens = settings.max_tokens
        self._sizes: dict[str, int] = {}  # Tokens of a closed block or a message, by its text.
        self._last_story: tuple[Card, tuple[Entry, ...]] | None = None
        self._measured: dict[int, list[_Measured]] = {}  # The last story, by its first entry.

    @property
    def context_size(self) -> int:
        """The tokens that the model's context holds; 0 before there is a model."""
        return self._engine.info.n_ctx if self._engine.info else 0

    async def sizes(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has."""
        new = list(set(texts) - self._sizes.keys())
        if new:
            self._sizes.update(zip(new, await self._engine.count(new), strict=True))
        return [self._sizes[text] for text in texts]

    async def document(
        self, page: Page, planned: int | None = None, *, going_on: bool = False
    ) -> Document:
        """The document, with room for a reply; old messages go if they must.

        Args:
            page: What it is made of.
            planned: The entry to begin with if not all fit, by its id.
            going_on: Whether the open block is a reply that has filled the context: then little
                more of it need fit, and at worst every entry may go.

        Raises:
            UserError: The scene alone, or the last entry with it, does not fit.
        """
        # Where the last entry is so long that a usual reply has no room, one begins in little room.
        for little in (True,) if going_on else (False, True):
            room = (await self._room(page, self._reserve(page.length, going_on=little))).now
            read = await self._fitting(page, room, planned)
            if read.first < len(page.entries) or not page.entries or going_on:
                return read
        [last] = await self._story(page, len(page.entries) - 1)
        lore = " with its lore" if len(last.segments) > 1 else ""
        raise UserError(
            f"The last message{lore} takes {last.size:,} tokens, but only {room:,} are free: "
            "shorten it, or choose a larger n_ctx."
        )

    async def ahead(self, page: Page, planned: int | None = None) -> Document | None:
        """What to read once the oldest messages have gone, if it is time for them to go."""
        room = (await self._room(page, self._reserve(page.length))).ahead
        read = await self._fitting(page, room, planned)
        return read if 0 < read.first < len(page.entries) else None

    async def _fitting(self, page: Page, room: int, planned: int | None) -> Document:
        ids = [entry.id for entry in page.entries]
        then = ids.index(planned) if planned in ids else 0
        start = 0
        # Lore may fire at another entry once one has gone, so what is left is measured anew.
        story = await self._story(page, start)
        while dropped := doc.first_to_keep([each.size for each in story], room):
            start = then if then and not start else start + dropped
            story = await self._story(page, start)
        told = (segment for each in story for segment in each.segments)
        return Document([*self._header(page), *told, page.opened], start)

    async def _room(self, page: Page, reserve: int) -> doc.Room:
        scene = await self._total(self._header(page))
        [opened] = await self._engine.count([page.opened.text])
        room = doc.room_for_story(self.context_size, scene + opened, reserve)
        if scene + reserve > self.context_size:
            raise UserError(
                f"The scene's own blocks take {scene:,} of the context's {self.context_size:,} "
                "tokens: shorten descriptions or lore, or choose a larger n_ctx."
            )
        if room.now < 0:
            raise UserError(
                f"The message being written takes {opened:,} tokens, and beside the scene there "
                f"is no room for more of it in a context of {self.context_size:,}: let another "
                "one begin, or choose a larger n_ctx."
            )
        return room

    def _reserve(self, length: Length | None, *, going_on: bool = False) -> int:
        """The tokens kept free for the reply: twice the most that its hint stands for."""
        expected = 2 * token_range(length or "medium")[1]
        return min(expected, self._max_tokens, self.context_size // (16 if going_on else 4))

    def _header(self, page: Page) -> list[Segment]:
        return doc.header_segments(page.scene, page.user, self.form)

    async def _story(self, page: Page, start: int) -> list[_Measured]:
        """The entries from `start` on with their lore; nothing is composed twice while typing."""
        key = (page.scene, tuple(page.entries))
        if self._last_story != key:
            self._last_story, self._measured = key, {}
        measured = self._measured
        if start not in measured:
            groups = list(doc.story_segments(page.scene, page.entries[start:], self.form))
            await self.sizes([segment.text for group in groups for segment in group])
            measured[start] = [_Measured(group, await self._total(group)) for group in groups]
        return measured[start]

    async def _total(self, segments: Sequence[Segment]) -> int:
        return sum(await self.sizes([segment.text for segment in segments]))
