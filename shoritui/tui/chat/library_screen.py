"""All stories: found, sorted and marked, renamed, copied, put away and taken back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Literal, get_args

from textual import work
from textual.binding import Binding, BindingType
from textual.content import Content

from shoritui.cards import pictures_of
from shoritui.director import Disk
from shoritui.errors import UserError
from shoritui.story import BIN_DAYS, Library, Summary
from shoritui.text import counted, is_visible, one_line
from shoritui.tui.chat.search_screen import LAST, Place, SearchScreen
from shoritui.tui.widgets.browser import Browser, Keys
from shoritui.tui.widgets.chooser import Choice, Chooser, LinePrompt
from shoritui.tui.widgets.passage import Passage, passage
from shoritui.tui.widgets.picture import Find

Order = Literal["last used", "title", "length"]
Shelf = Literal["stories", "archive", "bin"]
TakeBack = Callable[[Library, int], str | None]
"""Takes a story's last act back, and names it."""
_DAY = 86400


class LibraryScreen(Browser[Place | None]):
    """Gives the story to open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+f", "search", show=False, priority=True),
        Binding("ctrl+s", "sort", show=False, priority=True),
        Binding("ctrl+l", "like", show=False, priority=True),
        Binding("ctrl+t", "tag", show=False, priority=True),
        Binding("f2", "rename", show=False, priority=True),
        Binding("ctrl+d", "copy", show=False, priority=True),
        Binding("ctrl+a", "archive", show=False, priority=True),
        Binding("delete", "delete", show=False, priority=True),
        Binding("ctrl+x", "empty", show=False, priority=True),
        Binding("ctrl+z", "undo", show=False, priority=True),
        Binding("tab", "turn", show=False, priority=True),
    ]

    def __init__(
        self,
        disk: Disk,
        *,
        order: Order = "last used",
        show_marks: bool = True,
        deleted: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(
            "Your stories", asks="type to filter; #tag", show_marks=show_marks, from_the_end=True
        )
        self.order: Order = order
        self.changed: set[int] = set()
        """The stories that are not as they were."""
        self._disk = disk
        self._show_marks = show_marks
        self._deleted = deleted
        self._shelf: Shelf = "stories"
        self._chats: dict[int, Summary] = {}
        self._names: dict[int, str] = {}
        self._acts: list[tuple[int, TakeBack]] = []
        """The stories acted on, and what takes it back and names it; the last one last."""

    # What is shown

    async def read(self) -> None:
        """Read the library; the shelf of the wanted story is shown."""
        here = await self._disk.read(Library.summaries)
        gone = await self._disk.read(Library.summaries, deleted=True)
        self._chats = {chat.id: chat for chat in (*here, *gone)}
        self._names = told_apart(self._chats.values())
        if self.wanted is not None and (chat := self._chats.get(int(self.wanted))) is not None:
            self._shelf = _shelf_of(chat)

    def fill(self) -> None:
        """Show the stories of this shelf that hold the words."""
        shelves = {shelf: self._on(shelf) for shelf in get_args(Shelf)}
        fitting = [chat for chat in shelves[self._shelf] if _fits(chat, self.typed)]
        self.show_rows(
            [
                (str(chat.id), _lines(chat, self._names[chat.id]))
                for chat in in_order(fitting, self.order)
            ],
            empty="There is nothing here." if self.typed else _EMPTY[self._shelf],
        )
        titles = (
            (f" {_TITLES[shelf]} {len(chats)} ", "bold reverse" if shelf == self._shelf else "")
            for shelf, chats in shelves.items()
        )
        self.frame.border_title = Content.assemble(*titles)
        self.frame.border_subtitle = f"sorted by {self.order}"

    def _on(self, shelf: Shelf) -> list[Summary]:
        return [chat for chat in self._chats.values() if _shelf_of(chat) == shelf]

    @property
    def _chat(self) -> Summary | None:
        return self._chats[int(self.highlighted)] if self.highlighted else None

    def hints(self) -> Keys:
        """Return what can be done on this shelf."""
        undo = [("^z", "undo")] if self._acts else []
        scroll = [("PgUp PgDn", "scroll")] if self.inside.display else []
        common = [("^f", "search all"), ("^s", "sort"), ("tab", "archive, bin"), *scroll, *undo]
        if self._shelf == "bin":
            erase = [("del", "erase now"), ("^x", "empty the bin")] if self._on("bin") else []
            return [("⏎", "take out"), *erase, *common, ("esc", "close")]
        archive = "archive" if self._shelf == "stories" else "take out"
        return [
            *(("⏎", "open"), *common, ("^l", "favourite"), ("^t", "tags"), ("F2", "rename")),
            *(("^d", "copy"), ("^a", archive), ("del", "delete"), ("esc", "close")),
        ]

    async def look(self, row_id: str) -> tuple[list[str], list[Passage]]:
        """Return how a story ends, or why it cannot be read."""
        chat = self._chats[int(row_id)]
        if chat.is_damaged:
            return [], [Passage(0, "note", "", chat.last_line)]
        try:
            entries = await self._disk.read(Library.tail, int(row_id), LAST)
        except UserError as error:
            return [], [Passage(0, "note", "", str(error))]
        return list(chat.cast), [passage(entry) for entry in entries if entry.kind != "ooc"]

    async def pictures(self, row_id: str) -> Find:
        """Return what finds the pictures of a story's cards."""
        try:
            chat = await self._disk.read(Library.chat, int(row_id))
        except UserError:  # It is damaged or gone, which opening it says.
            return tuple
        return partial(pictures_of, chat.scene)

    # What is done

    def take(self, row_id: str) -> None:
        """Open the story; in the bin, take it out."""
        if self._shelf == "bin":
            self._act(int(row_id), Library.restore_chat)
        else:
            self.dismiss(Place(int(row_id)))

    def action_turn(self) -> None:
        """Show the stories, the archive, the bin."""
        shelves = get_args(Shelf)
        self._shelf = shelves[(shelves.index(self._shelf) + 1) % len(shelves)]
        self.choices.highlighted = None
        self.fill()

    def action_sort(self) -> None:
        """Take another order."""
        orders = get_args(Order)
        self.order = orders[(orders.index(self.order) + 1) % len(orders)]
        self.fill()

    def action_like(self) -> None:
        """Make it a favourite, or no longer."""
        if (chat := self._chat) is not None:
            self._act(chat.id, Library.set_favourite, not chat.favourite)

    def action_archive(self) -> None:
        """Put it into the archive, or take it out."""
        if (chat := self._chat) is not None:
            self._act(chat.id, Library.set_archived, not chat.archived)

    def action_delete(self) -> None:
        """Put it into the bin; in the bin, erase it."""
        if (chat := self._chat) is None:
            return
        if chat.deleted is None:
            self._act(chat.id, Library.delete_chat)
        else:
            self._erase([chat.id], f"“{self._names[chat.id]}” is gone then")

    def action_empty(self) -> None:
        """Erase everything in the bin."""
        gone = [chat.id for chat in self._on("bin")]
        if self._shelf == "bin" and gone:
            what = (
                "The story in it is" if len(gone) == 1 else f"All {len(gone):,} stories in it are"
            )
            self._erase(gone, f"{what} gone then")

    @work
    async def _erase(self, chat_ids: Sequence[int], question: str) -> None:
        """Ask, and erase stories that lie in the bin."""
        choices = [Choice("keep", "Keep"), Choice("erase", "Erase for good")]
        chooser = Chooser(
            "Erase it?", choices, question=f"{question}, and can't be undone.", filters=False
        )
        if await self.app.push_screen_wait(chooser) != "erase":
            return
        self.act(partial(self._erased, chat_ids))

    async def _erased(self, chat_ids: Sequence[int]) -> None:
        await self._disk.run(Library.erase_chats, chat_ids)
        self._acts = [(chat_id, act) for chat_id, act in self._acts if chat_id not in chat_ids]

    @work
    async def action_rename(self) -> None:
        """Give it another name."""
        if (chat := self._chat) is not None:
            name = await self.app.push_screen_wait(LinePrompt("Its name", one_line(chat.name)))
            if name and is_visible(name) and name != chat.name:
                self._act(chat.id, Library.rename_chat, name)

    @work
    async def action_tag(self) -> None:
        """Give it other tags."""
        if (chat := self._chat) is not None:
            prompt = LinePrompt("Its tags, with commas between", ", ".join(chat.tags))
            text = await self.app.push_screen_wait(prompt)
            if text is not None:
                tags = [one_line(tag) for tag in text.split(",") if tag.strip()]
                self._act(chat.id, Library.set_tags, tags)

    @work
    async def action_copy(self) -> None:
        """Copy it, with all its branches."""
        if (chat := self._chat) is None:
            return
        name = await self.app.push_screen_wait(
            LinePrompt("The copy's name", f"{one_line(chat.name)} (copy)", word="copy")
        )
        if name:
            self.act(partial(self._copied, chat.id, name))

    async def _copied(self, chat_id: int, name: str) -> str:
        copy = await self._disk.run(Library.copy_chat, chat_id, name)
        self._acts.append((copy.id, _take_copy_back))
        return str(copy.id)

    def action_undo(self) -> None:
        """Take the last act in this screen back."""
        self.act(self._undone)

    async def _undone(self) -> str | None:
        if not self._acts:
            return None
        chat_id, take_back = self._acts[-1]
        name = await self._disk.run(take_back, chat_id)
        self._acts.pop()
        self.notify(f"Undone: {name}")
        self.changed.add(chat_id)
        return str(chat_id)

    @work
    async def action_search(self) -> None:
        """Search everything ever written, beginning with the words that are typed."""
        screen = SearchScreen(self._disk, self.typed, show_marks=self._show_marks)
        place = await self.app.push_screen_wait(screen)
        if place is not None:
            self.dismiss(place)

    def _act(self, chat_id: int, method: Callable[..., object], *values: Any) -> None:
        """Change a story, so that it can be undone."""
        self.act(partial(self._changed, chat_id, method, *values))

    async def _changed(self, chat_id: int, method: Callable[..., object], *values: Any) -> None:
        await self._disk.run(method, chat_id, *values)
        self._acts.append((chat_id, _TAKES_BACK.get(method, Library.undo)))
        self.changed.add(chat_id)
        if method == Library.delete_chat and self._deleted is not None:
            await self._deleted(chat_id)


def _take_copy_back(library: Library, chat_id: int) -> str:
    library.delete_chat(chat_id)
    return "Copy the story; the copy is in the bin"


def _take_out(library: Library, chat_id: int) -> str:
    library.restore_chat(chat_id)
    return "Delete the story"


def _put_back(library: Library, chat_id: int) -> str:
    library.delete_chat(chat_id)
    return "Take the story out of the bin"


_TAKES_BACK: dict[Callable[..., object], TakeBack] = {
    Library.delete_chat: _take_out,
    Library.restore_chat: _put_back,
}
"""What is none of a story's own acts, and so is not taken back inside it either."""
_TITLES = {"stories": "Your stories", "archive": "Archive", "bin": "Bin"}
_EMPTY = {
    "stories": "There is no story yet.",
    "archive": "No story is in the archive.",
    "bin": f"The bin is empty.\nWhat is deleted lies here for {BIN_DAYS} days.",
}


def in_order(chats: Sequence[Summary], order: Order) -> list[Summary]:
    """Return the favourites first, each part in this order."""
    match order:
        case "title":
            ordered = sorted(chats, key=lambda chat: chat.name.casefold())
        case "length":
            ordered = sorted(chats, key=lambda chat: -chat.messages)
        case _:
            ordered = sorted(chats, key=lambda chat: -chat.updated)
    return sorted(ordered, key=lambda chat: not chat.favourite)


def told_apart(chats: Iterable[Summary]) -> dict[int, str]:
    """Return each story's name by its id; of several with one name, the later ones have a number.

    The Inn, The Inn (2), The Inn (3)
    """
    count: Counter[str] = Counter()
    names: dict[int, str] = {}
    for chat in sorted(chats, key=lambda chat: (chat.created, chat.id)):
        name = one_line(chat.name)
        count[name] += 1
        names[chat.id] = name if count[name] == 1 else f"{name} ({count[name]})"
    return names


def _shelf_of(chat: Summary) -> Shelf:
    if chat.deleted is not None:
        return "bin"
    return "archive" if chat.archived else "stories"


def _fits(chat: Summary, typed: str) -> bool:
    """Return whether a story holds every word; `#word` is the beginning of a tag."""
    tags = [f"#{tag.casefold()}" for tag in chat.tags]
    text = " ".join([chat.name, *chat.cast, chat.last_line]).casefold()
    return all(
        any(tag.startswith(word) for tag in tags) if word.startswith("#") else word in text
        for word in typed.casefold().split()
    )


def _lines(chat: Summary, name: str) -> list[Content]:
    """Return a story's three lines: its name, what it is, how it ends."""
    star = "★ " if chat.favourite else "  "
    names = ", ".join(one_line(name) for name in chat.cast)
    tags = " ".join(f"#{one_line(tag)}" for tag in chat.tags)
    if chat.deleted is None:
        used, now = datetime.fromtimestamp(chat.updated), datetime.fromtimestamp(time.time())
        when = used.strftime("%d %b %H:%M" if used.year == now.year else "%d %b %Y")
    else:
        days = max(0, round(BIN_DAYS - (time.time() - chat.deleted) / _DAY))
        when = f"erased in {counted(days, 'day')}"
    if chat.is_damaged:
        when, length = "", "cannot be read"
    else:
        length = counted(chat.messages, "message")
    facts = " · ".join(filter(None, [when, length, tags, names]))
    return [
        Content.styled(f"{star}{name}", "bold"),
        Content.styled(f"  {facts}", "dim"),
        Content.styled(f"  {one_line(chat.last_line)}", "italic dim"),
    ]
