"""Where the user writes: a text area that grows, remembers what was sent, and keeps its draft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from textual import events
from textual.document._wrapped_document import WrappedDocument
from textual.message import Message
from textual.widgets import TextArea

from shoritui.tui.widgets.text_area import Area

DRAFT_SECONDS = 0.5


class Composer(Area):
    """A prompt of one to eight rows."""

    DEFAULT_CSS = """
    Composer {
        height: auto; min-height: 3; max-height: 10;
        border: round $border-blurred;
        border-title-color: $prose-info; border-title-align: left;
        border-subtitle-color: $prose-info;
        background: $background; padding: 0 1;
        scrollbar-size-vertical: 1;
        &:focus { border: round $border; border-title-color: $foreground; }
        & .text-area--cursor-line { background: transparent; }
        & .text-area--placeholder { color: $prose-info; text-style: italic; }
    }
    Composer:nocolor:focus { border: heavy $border; }
    """

    @dataclass
    class DraftPaused(Message):
        """Nothing was typed for a moment: the draft may be kept."""

        text: str

    @dataclass
    class Pasted(Message):
        """A text was pasted into the empty composer."""

        text: str

    class CompletionAsked(Message):
        """Tab was pressed while the popup was open."""

    @dataclass
    class TurnBackAsked(Message):
        """Undo or redo was pressed where no typing can be taken back, or typed again."""

        action: Literal["undo", "redo"]

    @dataclass
    class PopupMoved(Message):
        """The arrow keys ask for another completion."""

        step: int

    _wrapped: tuple[WrappedDocument, int, int] | None = None
    """What was wrapped last as a whole, at which width, with which tabs."""

    def __init__(self, widget_id: str | None = None) -> None:
        super().__init__(
            id=widget_id, compact=False, highlight_cursor_line=False, show_line_numbers=False
        )
        self.popup_open = False
        self._history: list[str] = []
        self._place = 0
        self._unsent = ""
        self._draft_kept: str | None = ""
        """The draft on the disk; None if nobody knows."""

    def _rewrap_and_refresh_virtual_size(self) -> None:
        # Textual does this at each change of the height, too, where nothing wraps otherwise; of a
        # book that was pasted that takes a second.
        wrapped = self.wrapped_document, self.wrap_width, self.indent_width
        if wrapped == self._wrapped:
            self._refresh_size()
        else:
            self._wrapped = wrapped
            super()._rewrap_and_refresh_virtual_size()

    def remember(self, history: Sequence[str]) -> None:
        """Take what was sent before, oldest first."""
        self._history = list(history)
        self._place = len(self._history)

    def fill(self, text: str) -> None:
        """Put a text in, with the cursor at its end."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    def open(self, draft: str) -> None:
        """Show another draft, which is kept already."""
        self._draft_kept = draft
        self.fill(draft)

    def take(self) -> str:
        """Empty the composer; what stood in it is remembered and returned."""
        text = self.text
        self.load_text("")
        self._draft_kept = ""
        if text.strip():
            self._history = [*(old for old in self._history if old != text), text]
        self._place = len(self._history)
        return text

    def keep_draft(self, text: str) -> bool:
        """Return whether the draft differs from the one kept last, which it then is."""
        changed = text != self._draft_kept
        self._draft_kept = text
        return changed

    def forget_kept(self) -> None:
        """Take the draft for one that is yet to be kept, whatever it is."""
        self._draft_kept = None

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Plan to keep the draft once typing pauses."""
        text = self.text
        self.set_timer(DRAFT_SECONDS, lambda: self._pause(text))

    def _pause(self, text: str) -> None:
        if text == self.text and text != self._draft_kept:
            self.post_message(self.DraftPaused(text))

    async def _on_key(self, event: events.Key) -> None:
        # Enter is an action of the table, not a character. It comes here in its turn, so that
        # what was typed before it is in the text, however fast it was typed.
        if event.key == "enter" and event.key in self.screen.active_bindings:
            event.prevent_default()
            return
        if event.key == "tab" and self.popup_open:
            event.stop()
            event.prevent_default()
            self.post_message(self.CompletionAsked())
            return
        await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        # Textual calls the text area's own handler after this one.
        if not self.text:
            self.call_later(self._say_pasted)

    def _say_pasted(self) -> None:
        if self.text:
            self.post_message(self.Pasted(self.text))

    def action_undo(self) -> None:
        """Take back what was typed, or what was done before it."""
        if self.history.undo_stack:
            super().action_undo()
        else:
            self.post_message(self.TurnBackAsked("undo"))

    def action_redo(self) -> None:
        """Type again what was taken back, or do again what was."""
        if self.history.redo_stack:
            super().action_redo()
        else:
            self.post_message(self.TurnBackAsked("redo"))

    def action_cursor_up(self, select: bool = False) -> None:
        """Up a row; at the first one, to an older text."""
        if self.popup_open:
            self.post_message(self.PopupMoved(-1))
        elif select or not self.cursor_at_first_line or not self._go_to(self._place - 1):
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Down a row; at the last one, to a newer text."""
        if self.popup_open:
            self.post_message(self.PopupMoved(1))
        elif select or not self.cursor_at_last_line or not self._go_to(self._place + 1):
            super().action_cursor_down(select)

    def _go_to(self, place: int) -> bool:
        if not 0 <= place <= len(self._history) or not self._history:
            return False
        if self._place == len(self._history):
            self._unsent = self.text
        self._place = place
        self.fill(self._unsent if place == len(self._history) else self._history[place])
        return True
