"""Tokens one after the other as a text of which each can be pointed at."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from shoritui.text import clean
from shoritui.tui.widgets.styles import Inked
from shoritui.tui.widgets.wrap import fit

NEWLINE = "⏎"
NOTHING = "·"
"""What a token shows as that has no text of its own."""


class TokenFlow(ScrollView, Inked):
    """Tokens in their inks; the screen it stands on has the keys."""

    DEFAULT_CSS = """
    TokenFlow {
        width: 1fr; height: 1fr; overflow-x: hidden; overflow-y: auto; padding: 0 1;
        scrollbar-size-vertical: 1; background: $surface; color: $foreground;
    }
    """
    cursor: var[int] = var(0)

    def __init__(self) -> None:
        super().__init__()
        self._tokens: Sequence[tuple[str, str]] = ()
        self._begins: list[int] = [0]
        """The first token of each row."""

    def show(self, tokens: Sequence[tuple[str, str]], cursor: int = 0) -> None:
        """Show these texts, each with its ink."""
        self._tokens = [(shown(text), ink) for text, ink in tokens]
        self._lay()
        self.cursor = max(0, min(cursor, len(tokens) - 1))

    def move(self, tokens: int) -> None:
        """Point at a token so many further on."""
        self.cursor = max(0, min(self.cursor + tokens, len(self._tokens) - 1))

    def move_rows(self, rows: int) -> None:
        """Point at the token so many rows further down, at about the same place."""
        row = self._row(self.cursor)
        target = max(0, min(row + rows, len(self._begins) - 1))
        if target != row:
            last = len(self._tokens) - 1 if target + 1 == len(self._begins) else None
            end = self._begins[target + 1] - 1 if last is None else last
            self.cursor = min(self._begins[target] + self.cursor - self._begins[row], end)

    def watch_cursor(self) -> None:
        """Show the token."""
        self._bring_into_sight()
        self.refresh()

    def on_resize(self) -> None:
        """Break the rows elsewhere."""
        self._lay()

    def on_click(self, event: events.Click) -> None:
        """Point at the token there."""
        row, x = self.scroll_offset.y + event.y, 0
        if row >= len(self._begins):
            return
        for at in self._row_tokens(row):
            x += cell_len(self._tokens[at][0])
            if event.x - self.styles.padding.left < x:
                self.cursor = at
                return

    def _lay(self) -> None:
        width = max(1, self.scrollable_content_region.width)
        begins, used = [0], 0
        for at, (text, _) in enumerate(self._tokens):
            cells = cell_len(text)
            ends_row = at and self._tokens[at - 1][0].endswith(NEWLINE)
            if at and (used + cells > width or ends_row):
                begins.append(at)
                used = 0
            used += cells
        self._begins = begins
        self.virtual_size = Size(0, len(begins))
        self._bring_into_sight()
        self.refresh()

    def _row(self, token: int) -> int:
        return bisect_right(self._begins, token) - 1

    def _row_tokens(self, row: int) -> range:
        end = self._begins[row + 1] if row + 1 < len(self._begins) else len(self._tokens)
        return range(self._begins[row], end)

    def _bring_into_sight(self) -> None:
        place = Region(0, self._row(self.cursor), 1, 1)
        self.scroll_to_region(place, animate=False, force=True, x_axis=False)

    def render_line(self, y: int) -> Strip:
        """Return one row of the window."""
        width, row = self.size.width, self.scroll_offset.y + y
        if row >= len(self._begins) or not self._tokens:
            return Strip.blank(width, self.inks.base)
        segments, used = [], 0
        for at in self._row_tokens(row):
            text, ink = self._tokens[at]
            over = self.inks.over("chosen") if at == self.cursor else Style.null()
            said = fit(text, width - used)
            segments.append(Segment(said, self.inks[ink] + over))
            used += cell_len(said)
        return Strip(segments, used).extend_cell_length(width, self.inks.base)


def shown(text: str) -> str:
    """Return a token's text as it can be shown on one line."""
    return clean(text).replace("\n", NEWLINE) or NOTHING
