"""A list of one-line rows, however many: only those in sight are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from shoritui.tui.widgets.styles import Inked
from shoritui.tui.widgets.wrap import fit

Words: TypeAlias = Sequence[tuple[str, str]]
"""Texts, each with the name of its ink."""


class RowList(ScrollView, Inked):
    """Rows of which one is highlighted; the screen it stands on has the keys."""

    DEFAULT_CSS = """
    RowList {
        width: 1fr; height: 1fr; overflow-x: hidden; overflow-y: auto;
        scrollbar-size-vertical: 1; background: $surface; color: $foreground;
    }
    """
    highlighted: var[int] = var(0)

    @dataclass
    class Clicked(Message):
        """A row was clicked, which is highlighted now."""

        row: int

    def __init__(self, draw: Callable[[int], Words], empty: str = "") -> None:
        super().__init__()
        self._draw = draw
        self._empty = empty
        """What is said where there are no rows, once that is known."""
        self._is_known = False
        self._count = 0

    def show(self, count: int, highlighted: int = 0) -> None:
        """Show so many rows; what they say is asked for when they are drawn."""
        self._count, self._is_known = count, True
        self.virtual_size = Size(0, count)
        self.highlighted = max(0, min(highlighted, count - 1))
        self._bring_into_sight()
        self.refresh()

    def move(self, rows: int) -> None:
        """Highlight a row so many rows further down."""
        self.highlighted = max(0, min(self.highlighted + rows, self._count - 1))

    def watch_highlighted(self) -> None:
        """Show the row."""
        self._bring_into_sight()
        self.refresh()

    def on_resize(self) -> None:
        """Keep the highlighted row in sight."""
        self._bring_into_sight()

    def _bring_into_sight(self) -> None:
        self.scroll_to_region(
            Region(0, self.highlighted, 1, 1), animate=False, force=True, x_axis=False
        )

    def on_click(self, event: events.Click) -> None:
        """Highlight the row."""
        row = self.scroll_offset.y + event.y
        if row < self._count:
            self.highlighted = row
            self.post_message(self.Clicked(row))

    def render_line(self, y: int) -> Strip:
        """Return one row of the window."""
        width, index = self.size.width, self.scroll_offset.y + y
        if index == self._count == 0 and self._is_known:
            said = fit(f" {self._empty}", width)
            return Strip([Segment(said, self.inks["faint"])]).extend_cell_length(
                width, self.inks.base
            )
        if index >= self._count:
            return Strip.blank(width, self.inks.base)
        chosen = self.inks.over("chosen") if index == self.highlighted else Style.null()
        segments, used = [], 0
        for text, ink in [(" ", ""), *self._draw(index)]:
            shown = fit(text, width - used)
            segments.append(Segment(shown, self.inks[ink] + chosen))
            used += cell_len(shown)
        return Strip(segments, used).extend_cell_length(width, self.inks.base + chosen)
