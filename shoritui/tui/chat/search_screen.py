"""Search over everything ever written: each hit in its context, and a jump to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from textual import work
from textual.content import Content

from shoritui.director import Disk
from shoritui.errors import UserError
from shoritui.story import Hit, Library
from shoritui.text import clean, counted, one_line
from shoritui.tui.widgets.browser import Browser, Keys
from shoritui.tui.widgets.field import Refused
from shoritui.tui.widgets.passage import Passage, passage

LAST = 6
"""Entries that a look inside shows."""
_PAUSE = 0.15
"""Seconds without a key after which it is searched."""
_MOST = 200
_EMPTY = "Every message of every story is searched,\nall versions and branches."


@dataclass(frozen=True, slots=True)
class Place:
    """A story, and an entry in it."""

    chat: int
    entry: int | None = None
    """None: where the story was left."""


class SearchScreen(Browser[Place | None]):
    """Gives the place of a hit."""

    DEFAULT_CSS: ClassVar[str] = """
    SearchScreen OptionList { width: 1fr; text-wrap: wrap; text-overflow: fold; }
    SearchScreen Inside, SearchScreen #empty { width: 1fr; }
    """

    def __init__(self, disk: Disk, words: str = "", *, show_marks: bool = True) -> None:
        super().__init__(
            "Search everything",
            typed=words,
            asks='words, or "a phrase"',
            show_marks=show_marks,
            from_the_end=True,
        )
        self._disk = disk
        self._hits: dict[str, Hit] = {}

    def hints(self) -> Keys:
        """Return what can be done."""
        scroll = [("PgUp PgDn", "scroll")] if self.inside.display else []
        return [("⏎", "go there"), *scroll, ("esc", "close")]

    def fill(self) -> None:
        """Search, once no key was pressed for a moment."""
        self._search()

    @work(exclusive=True, group="search")
    async def _search(self) -> None:
        words = self.typed.strip()
        if words:
            await asyncio.sleep(_PAUSE)
            try:
                hits = await self._disk.read(Library.search, words, limit=_MOST)
            except UserError as error:
                self.post_message(Refused(str(error)))
                return
        else:
            hits = []
        self._hits = {str(hit.entry): hit for hit in hits}
        self.show_rows(
            [(row_id, _lines(hit)) for row_id, hit in self._hits.items()],
            empty="Nothing holds these words." if words else _EMPTY,
        )
        found = f"the newest {_MOST}" if len(hits) == _MOST else counted(len(hits), "place")
        self.frame.border_subtitle = found if words else ""

    async def look(self, row_id: str) -> tuple[list[str], list[Passage]]:
        """Return what is said there, and before it."""
        hit = self._hits[row_id]
        try:
            chat = await self._disk.read(Library.chat, hit.chat)
            entries = await self._disk.read(Library.tail, hit.chat, LAST, hit.entry)
        except UserError as error:
            return [], [Passage(0, "note", "", str(error))]
        cast = [character.name for character in chat.scene.characters]
        return cast, [passage(entry) for entry in entries]

    def take(self, row_id: str) -> None:
        """Go there."""
        hit = self._hits[row_id]
        self.dismiss(Place(hit.chat, hit.entry))


def _lines(hit: Hit) -> list[Content]:
    """Return a hit's lines: where it is, and its words among those around them."""
    when = datetime.fromtimestamp(hit.created).strftime("%d %b %Y %H:%M")
    version = f"version {hit.version} of {hit.versions}" if hit.versions > 1 else ""
    where = " · ".join(filter(None, [one_line(hit.speaker) or hit.kind, version, when]))
    return [
        Content.assemble((one_line(hit.chat_name), "bold"), (f"  {where}", "dim")),
        Content.assemble(clean(hit.before), (clean(hit.found), "bold underline"), clean(hit.after)),
        Content(""),
    ]
