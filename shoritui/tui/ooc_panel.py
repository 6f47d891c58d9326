"""The out-of-character channel: its own talk, its own input.

It does not know the director; what is typed is told.
"""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import TextArea

from shoritui.tui.transcript import Transcript


class OocInput(TextArea):
    """A small composer; Enter says it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+j", "newline", show=False)]
    DEFAULT_CSS = """
    OocInput {
        height: auto; min-height: 3; max-height: 6;
        border: round $border-blurred; border-title-color: $prose-info;
        background: $background; padding: 0 1; scrollbar-size-vertical: 1;
        &:focus { border: round $border; border-title-color: $foreground; }
        & .text-area--cursor-line { background: transparent; }
        & .text-area--placeholder { color: $prose-info; text-style: italic; }
    }
    """

    class Entered(Message):
        """Enter was pressed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            text = self.text.strip()
            if text:
                self.post_message(self.Entered(text))
            return
        await super()._on_key(event)

    def action_newline(self) -> None:
        """Begins a new line."""
        self.insert("\n")


class OocPanel(Vertical):
    """What is said out of character, and a place to say it."""

    DEFAULT_CSS = """
    OocPanel { height: 1fr; }
    OocPanel Transcript { background: $surface; }
    """

    class Said(Message):
        """Something was typed into the channel."""

        def __init__(self, panel: OocPanel, text: str) -> None:
            super().__init__()
            self.panel = panel
            self.text = text

    def __init__(self) -> None:
        super().__init__()
        self.transcript = Transcript(widget_id="ooc")
        self.input = OocInput(
            highlight_cursor_line=False,
            placeholder="Talk about the story, not in it",
            classes="-first",
        )

    def compose(self) -> ComposeResult:
        """The talk above the input."""
        self.transcript.empty_text = "Nothing was said\nout of character yet."
        yield self.transcript
        yield self.input

    def on_ooc_input_entered(self, event: OocInput.Entered) -> None:
        """Tells what was typed; the input is emptied once it was taken."""
        event.stop()
        self.post_message(self.Said(self, event.text))

    def on_mount(self) -> None:
        """Names the input."""
        self.input.border_title = "out of character"
