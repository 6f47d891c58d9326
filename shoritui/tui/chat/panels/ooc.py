"""The out-of-character channel: its own talk, its own input, which takes commands as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message

from shoritui.text import one_line
from shoritui.tui.widgets.text_area import Area
from shoritui.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from shoritui.story import Form


class OocInput(Area):
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
    OocInput:nocolor:focus { border: heavy $border; }
    """

    @dataclass
    class Said(Message):
        """Enter was pressed; whoever takes the text clears the input."""

        input: OocInput
        text: str

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            text = self.text.strip()
            if text:
                self.post_message(self.Said(self, text))
            return
        await super()._on_key(event)

    def take(self, said: str) -> None:
        """Take out what was said; what was typed behind it stays."""
        self.load_text(self.text.lstrip().removeprefix(said).lstrip("\n"))
        self.move_cursor(self.document.end)

    def give_back(self, text: str) -> None:
        """Put in again what could not be said, above what was typed since."""
        self.load_text(f"{text}\n{self.text}" if self.text else text)
        self.move_cursor(self.document.end)

    def action_newline(self) -> None:
        """Begin a new line."""
        self.insert("\n")


class OocPanel(Vertical):
    """What is said out of character, and a place to say it."""

    DEFAULT_CSS = """
    OocPanel { height: 1fr; }
    OocPanel Transcript { background: $surface; }
    """

    def __init__(self, talk: Transcript) -> None:
        super().__init__()
        self.transcript = talk
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

    def on_mount(self) -> None:
        """Names the input."""
        self.input.border_title = "out of character"

    def show_form(self, form: Form) -> None:
        """Show whether the story's prompt holds the talk, and in what form."""
        words = one_line(form.ooc_body("Name", "words"))
        self.input.border_subtitle = Content(
            f"in the prompt as {words}" if form.reads_ooc else "not in the story's prompt"
        )
