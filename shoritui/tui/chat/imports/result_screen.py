"""What an import has made of each file, and what it left and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from shoritui.text import clean, table
from shoritui.tui.widgets.chooser import Framed


class ResultScreen(Framed[None]):
    """A table to look through; Escape or Enter leaves it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter", "dismiss(None)", show=False)]
    DEFAULT_CSS = """
    ResultScreen > Vertical { width: 132; max-width: 95%; height: auto; max-height: 90%; }
    ResultScreen Static { text-wrap: nowrap; text-overflow: ellipsis; width: 100%; }
    ResultScreen VerticalScroll {
        height: auto; max-height: 100%; padding: 0 1; scrollbar-size-vertical: 1;
    }
    """

    def __init__(self, rows: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._rows = rows

    def compose(self) -> ComposeResult:
        """The table in a frame."""
        with Vertical() as frame:
            frame.border_title = "What became of it"
            frame.border_subtitle = "↑↓ scroll · esc close"
            with VerticalScroll():
                yield Static(Content("\n".join(map(clean, table(self._rows)))))

    def on_mount(self) -> None:
        """Let the arrows scroll."""
        self.query_one(VerticalScroll).focus()
