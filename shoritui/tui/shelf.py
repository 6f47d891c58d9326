"""A list beside a look at what is highlighted: the shelf of stories, and that of scenes.

It does not know where its books come from; it is given them, and a way to look inside.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from shoritui.tui.passage import Passage
from shoritui.tui.transcript import Transcript
from shoritui.tui.wrapping import fit

_LIST_CELLS = 42


@dataclass(frozen=True, slots=True)
class Book:
    """One row of a shelf."""

    id: str
    title: str
    detail: str = ""
    """Who is in it, or when it was read last."""


Look = Callable[[str], Awaitable[tuple[list[str], list[Passage]]]]
"""Gives a book's cast and its passages, by its id."""


class Preview(Transcript):
    """A transcript only to be looked at."""

    ALLOW_SELECT = False
    can_focus = False


class Shelf(ModalScreen[str | None]):
    """Gives the id of the book taken with Enter, or nothing after Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", show=False),
        Binding("delete,d", "delete", show=False),
        Binding("pageup", "look(-1)", show=False, priority=True),
        Binding("pagedown", "look(1)", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    Shelf { align: center middle; background: $background 60%; }
    Shelf > Vertical {
        width: 94%; max-width: 132; height: 92%;
        border: round $border; border-title-color: $prose-title; border-title-style: bold;
        border-subtitle-color: $prose-info;
        background: $surface;
    }
    Shelf Static { width: 100%; height: auto; padding: 0 2; color: $warning; }
    Shelf OptionList {
        width: 42; height: 100%; border: none; background: $surface; padding: 1 0;
        scrollbar-size-vertical: 1;
        &:focus { border: none; background-tint: $foreground 0%; }
    }
    Shelf.-narrow OptionList { width: 100%; height: 40%; }
    Shelf.-narrow Horizontal { layout: vertical; }
    Shelf:nocolor OptionList > .option-list--option-highlighted { text-style: bold reverse; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (90, "-wide")]  # noqa: RUF012

    def __init__(
        self,
        title: str,
        books: Sequence[Book],
        look: Look,
        *,
        hint: str,
        problems: Sequence[str] = (),
        delete: Callable[[str], Awaitable[bool]] | None = None,
        show_marks: bool = True,
        from_the_end: bool = False,
    ) -> None:
        super().__init__()
        self._title = title
        self._books = list(books)
        self._look = look
        self._hint = hint
        self._problems = list(problems)
        self._delete = delete
        self._show_marks = show_marks
        self._from_the_end = from_the_end

    def compose(self) -> ComposeResult:
        """The list at the left, the look inside at the right."""
        with Vertical() as frame:
            frame.border_title = Content(self._title)
            frame.border_subtitle = self._hint
            for problem in self._problems:
                yield Static(Content(f"✕ {problem}"))
            with Horizontal():
                yield OptionList(*(self._option(book) for book in self._books))
                yield Preview(show_marks=self._show_marks)

    def on_mount(self) -> None:
        """The list takes the keys."""
        self._list.focus()
        if self._books:
            self._list.highlighted = 0
        else:
            self.query_one(Preview).empty_text = "There is nothing here yet."

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    def _option(self, book: Book) -> Option:
        title = Content.styled(fit(f" {book.title}", _LIST_CELLS - 3), "bold")
        detail = Content.styled(fit(f" {book.detail}", _LIST_CELLS - 3), "dim")
        return Option(Content("\n").join([title, detail, Content("")]), book.id)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Looks inside."""
        if event.option_id is not None:
            self._look_inside(event.option_id)

    @work(exclusive=True, group="look")
    async def _look_inside(self, book_id: str) -> None:
        cast, passages = await self._look(book_id)
        preview = self.query_one(Preview)
        preview.speakers = type(preview.speakers)(cast)
        preview.show(passages, at_end=self._from_the_end)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Takes the book."""
        self.dismiss(event.option_id)

    def action_look(self, pages: int) -> None:
        """Turns the pages of the look inside."""
        preview = self.query_one(Preview)
        preview.scroll_relative(y=pages * (preview.size.height - 2), animate=False)

    def action_cancel(self) -> None:
        """Leaves."""
        self.dismiss(None)

    @work
    async def action_delete(self) -> None:
        """Deletes the highlighted book, once that was confirmed."""
        at = self._list.highlighted
        if self._delete is None or at is None:
            return
        book = self._books[at]
        if await self._delete(book.id):
            self._books.pop(at)
            self._list.remove_option_at_index(at)
            if not self._books:
                self.query_one(Preview).show([])
