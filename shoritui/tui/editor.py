"""A text being edited over the story.

It does not know whose text it is.
"""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import TextArea

from shoritui.tui.chooser import Choice, Chooser


class Editor(ModalScreen[str | None]):
    """Gives the text after Ctrl+S, or nothing after Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "keep", show=False, priority=True),
        Binding("escape", "leave", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    Editor { align: center middle; background: $background 60%; }
    Editor > Vertical {
        width: 92; max-width: 96%; height: 70%;
        border: round $border; border-title-color: $prose-title; border-title-style: bold;
        border-subtitle-color: $prose-info; background: $surface;
    }
    Editor TextArea {
        border: none; background: $surface; padding: 0 1;
        &:focus { border: none; }
        & .text-area--cursor-line { background: transparent; }
    }
    """

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """The text in a frame."""
        with Vertical() as frame:
            frame.border_title = Content(self._title)
            frame.border_subtitle = "^s keep · esc leave"
            yield TextArea(self._text)

    def on_mount(self) -> None:
        """The cursor begins at the end."""
        area = self.query_one(TextArea)
        area.move_cursor(area.document.end)
        area.focus()

    def action_keep(self) -> None:
        """Keeps the text."""
        self.dismiss(self.query_one(TextArea).text)

    @work
    async def action_leave(self) -> None:
        """Leaves; if that would lose something, asks first."""
        if self.query_one(TextArea).text != self._text:
            choices = [
                Choice("stay", "Go on editing"),
                Choice("leave", "Leave, losing the changes"),
            ]
            answer = await self.app.push_screen_wait(Chooser("The text was changed", choices))
            if answer != "leave":
                return
        self.dismiss(None)
