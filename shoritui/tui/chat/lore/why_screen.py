"""Why lore fired and why not: every piece with its key, message and rule, and what if."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from shoritui.cards import key_pattern
from shoritui.names import Names, fold
from shoritui.text import counted, one_line
from shoritui.tui.widgets.chooser import Framed
from shoritui.tui.widgets.row_list import RowList, Words

if TYPE_CHECKING:
    from shoritui.director import LoreRow
    from shoritui.story import Verdict

Ask = Callable[[str], Awaitable[Sequence["LoreRow"]]]
"""Returns the lore as it would fire if these words were said now; with none, as it does."""

_MARKS = {"fired": "●", "always": "◆", "waits": "○", "off": "✕"}
_INKS = {"fired": "title", "always": "label", "waits": "info", "off": "info"}
_NAME_CELLS = 28
_AROUND = 60
"""How many letters of a message are shown before a key, and after it."""
_PATTERN_SECONDS = 0.02


class WhyScreen(Framed[int | None]):
    """Gives the id of the message to go to, or nothing after Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False, priority=True),
        Binding("enter", "take", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("pageup", "page(-1)", show=False, priority=True),
        Binding("pagedown", "page(1)", show=False, priority=True),
        Binding("ctrl+home", "move(-1000000)", show=False, priority=True),
        Binding("ctrl+end", "move(1000000)", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    WhyScreen { background: $background; }
    WhyScreen > Vertical { width: 100%; max-width: 132; height: 100%; }
    WhyScreen Input, WhyScreen Input:focus {
        border: none; height: 1; padding: 0 1; margin: 0; background: $boost;
    }
    WhyScreen #about { height: 5; padding: 0 1; margin: 1 0 0 0; color: $foreground; }
    """

    def __init__(self, ask: Ask, words: str = "") -> None:
        super().__init__()
        self._ask = ask
        self._all: Sequence[LoreRow] = ()
        self.rows: list[LoreRow] = []
        self.what_if = Input(placeholder="what if this were said?", id="what-if")
        self.filter = Input(words, placeholder="type to filter", select_on_focus=False)
        self.view = RowList(lambda index: words_of(self.rows[index]))
        # Held, not asked for: what was read may come when the screen is closed and empty.
        self._about = Static(id="about")

    def compose(self) -> ComposeResult:
        """The dry run, the filter, the lore, and what there is to say of one piece."""
        with Vertical() as frame:
            frame.border_title = "Why this lore"
            frame.border_subtitle = "⏎ go to the message · tab what if, filter · esc close"
            yield self.what_if
            yield self.filter
            yield self.view
            yield self._about

    def on_mount(self) -> None:
        """Show how it is now."""
        self.filter.focus()
        self.watch(self.view, "highlighted", self._show_about, init=False)
        self._look()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Other words are said, or looked for."""
        if event.input is self.what_if:
            self._look()
        else:
            self._fill()

    @work(exclusive=True)
    async def _look(self) -> None:
        self._all = await self._ask(self.what_if.value)
        self._fill()

    def _fill(self) -> None:
        wanted = fold(self.filter.value.strip())
        highlighted = self.highlighted
        self.rows = [row for row in self._all if wanted in fold(row.verdict.lore.name)]
        names = [row.verdict.lore for row in self.rows]
        at = (
            names.index(highlighted.verdict.lore)
            if highlighted and highlighted.verdict.lore in (names)
            else 0
        )
        self.view.show(len(self.rows), at)
        self._show_about()

    @property
    def highlighted(self) -> LoreRow | None:
        """The highlighted row."""
        return self.rows[self.view.highlighted] if self.rows else None

    def _show_about(self) -> None:
        row = self.highlighted
        lines = about(row) if row else [_nothing(self._all)]
        self._about.update(Content("\n").join(map(Content, lines)))

    def action_take(self) -> None:
        """Go to the message that brought the highlighted piece up."""
        entry = self.highlighted.verdict.entry if self.highlighted else None
        if entry is not None and entry.id:
            self.dismiss(entry.id)

    def action_leave(self) -> None:
        """Empty the line, or leave."""
        line = self.focused
        if isinstance(line, Input) and line.value:
            line.clear()
        else:
            self.dismiss(None)

    def action_move(self, rows: int) -> None:
        """Highlight another row."""
        self.view.move(rows)

    def action_page(self, pages: int) -> None:
        """Highlight a row a page further."""
        self.view.move(pages * max(1, self.view.size.height - 1))


def words_of(row: LoreRow) -> Words:
    """Return one row: whether it is in the prompt, its name, and the rule that decided."""
    verdict = row.verdict
    name = one_line(verdict.lore.name)
    short = name if len(name) <= _NAME_CELLS else f"{name[: _NAME_CELLS - 1]}…"
    ink = _INKS[verdict.state]
    return [
        (f"{_MARKS[verdict.state]} ", ink),
        (f"{short.ljust(_NAME_CELLS)}  ", "" if verdict.state in ("fired", "always") else "info"),
        (one_line(verdict.rule), "info"),
    ]


def about(row: LoreRow) -> list[str]:
    """Return what there is to say of one piece: key, message, rule, tokens, place."""
    verdict, lore = row.verdict, row.verdict.lore
    lines = [f"{one_line(lore.name)}: {one_line(verdict.rule)}."]
    if verdict.key:
        key = one_line(verdict.key)
        if verdict.woken_by:
            lines.append(f"Key “{key}”, in the text of {one_line(verdict.woken_by)}.")
        elif verdict.entry is not None:
            lines.append(f"Key “{key}”, in {_message(row)}")
    elif lore.keys:
        lines.append(f"Keys: {one_line(', '.join(lore.keys))}")
    tokens = f"{counted(row.tokens, 'token')} · " if row.tokens else ""
    places = {
        "story": "stands once after the message, and stays",
        "top": f"stands at the top: {row.reread:,} tokens are read again when it comes or goes",
        "depth": f"stands {counted(lore.depth, 'message')} before the end: "
        f"{row.reread:,} tokens are read again when it comes or goes",
    }
    place = places[lore.place] if lore.keys else "stands in the prompt's header"
    lines.append(f"{tokens}{place}")
    return lines


def _message(row: LoreRow) -> str:
    entry = row.verdict.entry
    assert entry is not None
    if not entry.id:
        return "what if this were said."
    return f"{one_line(entry.speaker) or 'a note'}: {_around(row.verdict, entry.text)}"


def _around(verdict: Verdict, text: str) -> str:
    """Return the words of a message around the key that came up in it."""
    at = _place(verdict, text)
    begin = text.rfind(" ", 0, max(0, at - _AROUND)) + 1 if at > _AROUND else 0
    end = at + len(verdict.key) + _AROUND
    end = len(text) if len(text) <= end else max(text.rfind(" ", at, end), at + len(verdict.key))
    return f"{'… ' * (begin > 0)}{one_line(text[begin:end])}{' …' * (end < len(text))}"


def _place(verdict: Verdict, text: str) -> int:
    """Return where the key stands; near it, where letters fold into others; 0 if it is gone."""
    pattern = key_pattern(verdict.key)
    if pattern is not None:
        with suppress(TimeoutError):
            found = pattern.search(text, timeout=_PATTERN_SECONDS)
            return found.start() if found is not None else 0
        return 0
    places = Names([verdict.key], stars=True, case=verdict.lore.case).find_apart(text)
    return min(places[0].start, len(text)) if places else 0


def _nothing(rows: Sequence[LoreRow]) -> str:
    if rows:
        return "No piece of lore has that name."
    return "This story has no lore: /lore NAME adds a piece, /lorebook a book."
