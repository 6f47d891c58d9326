"""A line to type in, a list, and a look inside what is highlighted: library, search, scenes.

╭─ Your stories ───────────────────────────╮
│ inn▏                                     │   what is typed makes the list
│ The Inn with One Room   ─ The Inn … ─    │
│ 31 messages · Brindle   "Shut the door"  │   the list, and a look inside
│ ⏎ open  ^s sort  esc close               │   the keys
╰──────────────────────────────────────────╯
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from shoritui.errors import UserError
from shoritui.text import clean
from shoritui.tui.widgets.chooser import Framed, Result
from shoritui.tui.widgets.field import Refused
from shoritui.tui.widgets.passage import Passage
from shoritui.tui.widgets.picture import Find, Picture
from shoritui.tui.widgets.transcript import Transcript

_MOST_PROBLEMS = 2
"""So many are said above the list, which is to be seen."""
_AT_ONCE_SECONDS = 0.05
"""So long a disk may take before the screen is shown without its rows."""
Rows = Iterable[tuple[str, Sequence[Content]]]
"""The list: each row's id and its lines."""
Keys = Sequence[tuple[str, str]]
"""Keys as they are shown, and what each does."""


class Preview(Transcript):
    """A transcript only to be looked at."""

    ALLOW_SELECT = False
    can_focus = False


class Inside(Horizontal):
    """The look inside: what stands there, and a picture at its right."""

    DEFAULT_CSS = """
    Inside { width: 1fr; height: 1fr; margin: 0 0 0 1; }
    Inside Picture { margin: 0 1; }
    """


class Browser(Framed[Result]):
    """A list that is typed in; whoever makes one says what it holds and what Enter gives."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False, priority=True),
        Binding("up", "move('up')", show=False, priority=True),
        Binding("down", "move('down')", show=False, priority=True),
        Binding("pageup", "page(-1)", show=False, priority=True),
        Binding("pagedown", "page(1)", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    Browser > Vertical { width: 94%; max-width: 132; height: 92%; }
    Browser Static { width: 100%; height: auto; padding: 0 1; }
    Browser .problem { color: $warning; max-height: 2; }
    Browser .advice { color: $prose-info; }
    Browser Input, Browser Input:focus {
        border: none; height: 1; padding: 0 1; margin: 0 0 1 0; background: $boost;
    }
    Browser #halves { height: 1fr; }
    Browser #empty { width: 54; height: 100%; color: $prose-info; display: none; }
    Browser.-narrow #empty { width: 1fr; }
    Browser OptionList { width: 54; height: 100%; padding: 0; }
    Browser OptionList > .option-list--option-highlighted {
        color: $block-cursor-foreground; background: $block-cursor-background;
    }
    Browser.-narrow OptionList { width: 1fr; }
    Browser.-narrow Inside { display: none; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (90, "-wide")]  # noqa: RUF012

    def __init__(
        self,
        title: str,
        *,
        typed: str = "",
        asks: str = "type to filter",
        problems: Sequence[str] = (),
        advice: str = "",
        show_marks: bool = True,
        from_the_end: bool = False,
    ) -> None:
        super().__init__()
        self._title = title
        self._problems = problems
        self._advice = advice
        self._from_the_end = from_the_end
        self.line = Input(typed, placeholder=asks, select_on_focus=False)
        self.choices = OptionList()
        self.choices.can_focus = False
        self.preview = Preview(show_marks=show_marks)
        self.picture = Picture()
        self.inside = Inside(self.preview, self.picture)
        self.wanted: str | None = None
        """The row that is highlighted as soon as it is there."""
        self._unread = "reading …"
        """What is said instead of rows, until they are read."""
        self._is_read = asyncio.Event()
        self._turn = asyncio.Lock()
        """Held by what is done now."""
        # Held, not asked for: what was read may come when the screen is closed and empty.
        self.frame = Vertical()
        self._keys = Static(id="keys")
        self._empty = Static(id="empty")
        """What is said where there are no rows."""

    def compose(self) -> ComposeResult:
        """The line, the list beside the look inside, and the keys."""
        with self.frame as frame:
            frame.border_title = Content(self._title)
            for problem in self._problems[:_MOST_PROBLEMS]:
                yield Static(Content(f"✕ {problem}"), classes="problem")
            if (more := len(self._problems) - _MOST_PROBLEMS) > 0:
                yield Static(Content(f"✕ and {more:,} more: shoritui doctor"), classes="problem")
            if self._advice:
                yield Static(Content(self._advice), classes="advice")
            yield self.line
            with Horizontal(id="halves"):
                yield self._empty
                yield self.choices
                yield self.inside
            yield self._keys

    async def on_mount(self) -> None:
        """Show everything there is; what is typed goes into the line."""
        self.line.focus()
        self.read_again()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_read.wait(), _AT_ONCE_SECONDS)
        if not self._is_read.is_set():
            self.fill()

    @work(exclusive=True, group="read")
    async def read_again(self, wanted: str | None = None) -> None:
        """Read what there is, beside the keys, and show it; what an older read brings is dropped.

        `wanted` is the row to highlight then.
        """
        self.wanted = wanted or self.wanted
        try:
            await self.read()
        except UserError as error:
            self._unread = self._unread and clean(str(error))
            self.post_message(Refused(str(error)))
        else:
            self._unread = ""
        self.fill()
        self._is_read.set()

    # What whoever makes one says

    def hints(self) -> Keys:
        """Return the keys that do something now."""
        raise NotImplementedError

    async def read(self) -> None:
        """Read what `fill` shows."""

    def act(self, do: Callable[[], Awaitable[str | None]]) -> None:
        """Do something after what was begun before, and read again; `do` gives the row to show.

        What is begun is finished, even if the screen is closed meanwhile.
        """
        self.app.run_worker(self._act_in_turn(do), group="asking")

    async def _act_in_turn(self, do: Callable[[], Awaitable[str | None]]) -> None:
        wanted = None
        async with self._turn:
            try:
                wanted = await do()
            except UserError as error:
                self.app.post_message(Refused(str(error)))
        if self in self.app.screen_stack:
            self.read_again(wanted)

    async def acted(self) -> None:
        """Wait until everything that was begun here is done."""
        async with self._turn:
            pass

    def fill(self) -> None:
        """Make the list, by `show_rows`, of what is typed."""
        raise NotImplementedError

    async def look(self, row_id: str) -> tuple[list[str], list[Passage]]:
        """Return a row's cast and its passages."""
        raise NotImplementedError

    async def pictures(self, row_id: str) -> Find:
        """Return what finds a row's pictures."""
        return tuple

    def take(self, row_id: str) -> None:
        """Enter was pressed on a row."""
        raise NotImplementedError

    def leave(self) -> None:
        """Escape was pressed."""
        self.dismiss(None)

    # The list

    @property
    def typed(self) -> str:
        """What is typed."""
        return self.line.value

    @property
    def highlighted(self) -> str | None:
        """The id of the highlighted row."""
        option = self.choices.highlighted_option
        return option.id if option is not None else None

    def show_rows(self, rows: Rows, *, start: str | None = None, empty: str = "") -> None:
        """Show these rows.

        Highlighted is the one that is wanted, else the same as before, else `start`, else what
        stands there.
        """
        kept = self.wanted or self.highlighted
        options = [Option(Content("\n").join(lines), row_id) for row_id, lines in rows]
        ids = {option.id: place for place, option in enumerate(options)}
        place = min(self.choices.highlighted or 0, len(options) - 1)
        self.choices.clear_options()
        self.choices.add_options(options)
        self.choices.display, self._empty.display = bool(options), not options
        if options:
            self.wanted = None
            self.choices.highlighted = ids.get(kept, ids.get(start, place))
        else:
            self._empty.update(Content(self._unread or empty))
            self.preview.show([])
            self._show_picture(tuple)
        self.show_keys()

    def show_keys(self) -> None:
        """Show in the last rows which keys do something now; no row ends inside a hint."""
        shown = self._keys
        rows: list[list[Content]] = [[]]
        room = width = shown.content_size.width
        for key, word in self.hints():
            hint = Content.assemble((key, "$foreground bold"), (f" {word}", "$prose-info"))
            if hint.cell_length > room and rows[-1]:
                rows.append([])
                room = width
            rows[-1].append(hint)
            room -= hint.cell_length + 2
        words = Content("\n").join(Content("  ").join(row) for row in rows)
        if words != shown.content:  # An update lays the whole screen out.
            shown.update(words)

    def on_resize(self) -> None:
        """Break the row of keys elsewhere; give the picture the room that there is."""
        self.call_after_refresh(self.show_keys)
        self.call_after_refresh(self._fit_picture)

    def _fit_picture(self) -> None:
        self.picture.fit(self.inside.size.width // 3, self.inside.size.height - 1)

    def on_input_changed(self) -> None:
        """What is typed makes another list, from its first row."""
        self.choices.highlighted = None
        self.fill()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Look inside."""
        if event.option_id is not None and event.option_id == self.highlighted:
            self._look_inside(event.option_id)

    @work(exclusive=True, group="look")
    async def _look_inside(self, row_id: str) -> None:
        if not self.inside.display:
            return
        cast, passages = await self.look(row_id)
        self.preview.speakers = type(self.preview.speakers)(cast)
        self.preview.show(passages, at_end=self._from_the_end)
        self._show_picture(await self.pictures(row_id))

    def _show_picture(self, find: Find) -> None:
        room = self.inside.size
        self.picture.show(find, room.width // 3, room.height - 1)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A row was clicked."""
        if event.option_id is not None:
            self.take(event.option_id)

    def on_input_submitted(self) -> None:
        """Take the highlighted row; as Enter comes by way of the line, its letters came before."""
        if self.highlighted is not None:
            self.take(self.highlighted)

    def action_leave(self) -> None:
        """Leave without taking anything."""
        self.leave()

    def action_move(self, where: str) -> None:
        """Highlight the row above or below."""
        if where == "up":
            self.choices.action_cursor_up()
        else:
            self.choices.action_cursor_down()

    def action_page(self, pages: int) -> None:
        """Turn the pages of the look inside; without one, of the list."""
        if self.inside.display:
            rows = pages * (self.preview.size.height - 2)
            self.preview.scroll_relative(y=rows, animate=False)
        elif pages < 0:
            self.choices.action_page_up()  # type: ignore[no-untyped-call]  # Textual's
        else:
            self.choices.action_page_down()  # type: ignore[no-untyped-call]  # Textual's
