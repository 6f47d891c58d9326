"""One chat as the model reads it: which entries, in what document, with which hints.

It does not know why anything is read or what comes of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from shoritui.blockml import Length, length_for
from shoritui.director.disk import Disk
from shoritui.director.events import Changed, Event
from shoritui.director.open_chat import OpenChat, last_id, since
from shoritui.director.reading import Page, Reader
from shoritui.engine import AnyEngine, Preset, Segment
from shoritui.settings import Settings
from shoritui.story import Chat, Entry, Library


class ReadChat(OpenChat):
    """A chat and the engine that reads it."""

    def __init__(
        self,
        disk: Disk,
        chat: Chat,
        entries: Sequence[Entry],
        engine: AnyEngine,
        settings: Settings,
        presets: dict[str, Preset],
    ) -> None:
        super().__init__(disk, chat, entries, settings, presets)
        self.engine = engine
        self._reader = Reader(engine, settings)
        self._planned: int | None = None
        """The first entry that will be read once the oldest ones have gone, by its id."""
        self._last_read: tuple[int | None, int | None] | None = None
        """The entry after which the last reply was written, and the first one read for it."""

    async def _with_hints(self, *typed: Entry) -> list[Entry]:
        """The active path, with the tokens of new messages and the hints that these earn.

        `typed` are entries that may come next.
        """
        entries = [*self.entries, *typed]
        messages = [entry for entry in entries if entry.kind == "message"]
        new = [entry for entry in messages if not entry.tokens and entry.text]
        counts = await self._reader.sizes([" " + entry.text for entry in new])
        labelled = {
            entry.id: replace(entry, tokens=tokens, length=entry.length or self._earned(tokens))
            for entry, tokens in zip(new, counts, strict=True)
        }
        return [labelled.get(entry.id, entry) for entry in entries]

    async def _label_messages(self) -> AsyncGenerator[Event]:
        """Keeps with new messages their tokens and hints."""
        for entry in [new for new in await self._with_hints() if new not in self.entries]:
            labelled = await self._disk.run(
                Library.write,
                entry.id,
                entry.text,
                status=entry.status,
                tokens=entry.tokens,
                length=entry.length,
            )
            self._replace(labelled)
            yield Changed(labelled)

    def _earned(self, tokens: int) -> Length | None:
        return length_for(tokens) if self.length else None

    async def _read(
        self, entries: Sequence[Entry], opened: Segment, length: Length | None
    ) -> list[Segment]:
        """The document of a reply that begins; from now on it begins at the same entry."""
        page = self._page(entries, opened, length)
        read = await self._reader.document(page, self._planned or self.choices.first_kept)
        if read.first:
            await self._let_go(page.entries[read.first].id)
        first = page.entries[read.first].id if page.entries else None
        self._last_read = (last_id(entries), first)
        return read.segments

    async def _read_on(self, opened: Segment, length: Length | None) -> list[Segment]:
        """The document of a reply that fills the context: old messages go, at worst all of them."""
        before = since(self.entries[:-1], self.choices.first_kept)
        page = Page(self.scene, self.user, before, opened, length)
        read = await self._reader.document(page, self._planned, going_on=True)
        first = self.entries[len(self.entries) - 1 - len(before) + read.first].id
        await self._let_go(first)
        self._last_read = (last_id(before), first)
        return read.segments

    def _page(self, entries: Sequence[Entry], opened: Segment, length: Length | None) -> Page:
        """What is read after these entries: from where it was read the last time, if the engine
        still holds that; a reply is written anew from the very same document."""
        first = self.choices.first_kept
        if self._is_exact and self._last_read and self._last_read[0] == last_id(entries):
            first = self._last_read[1]
        return Page(self.scene, self.user, since(entries, first), opened, length)

    @property
    def _is_exact(self) -> bool:
        return self.engine.info is None or self.engine.info.context_mode == "exact"

    async def _let_go(self, first: int) -> None:
        """From now on the model reads the story from this entry."""
        self._planned = None
        if first != self.choices.first_kept:
            await self._choose(first_kept=first)
