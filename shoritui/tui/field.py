"""A piece of text that is edited where it stands.

It does not know what it belongs to: it tells its new text once it is left.
"""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static, TextArea

_ROW = 36


class FieldEditor(TextArea):
    """The text area that stands in a field's place while it is edited."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "keep", show=False),
        Binding("escape", "cancel", show=False),
        Binding("ctrl+j", "newline", show=False),
    ]
    DEFAULT_CSS = """
    FieldEditor {
        height: auto; min-height: 3; max-height: 16;
        border: round $border; border-title-color: $prose-title;
        border-subtitle-color: $prose-info;
        background: $background; padding: 0 1;
        scrollbar-size-vertical: 1;
        &:focus { border: round $border; }
        & .text-area--cursor-line { background: transparent; }
    }
    """

    def __init__(self, label: str, text: str, *, one_line: bool) -> None:
        super().__init__(text, highlight_cursor_line=False)
        self._one_line = one_line
        self.border_title = Content(label)
        self.border_subtitle = "⏎ keep · esc" if one_line else "^s keep · esc"

    class Left(Message):
        """The editor was left; with the text to keep, or without."""

        def __init__(self, text: str | None) -> None:
            super().__init__()
            self.text = text

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter" and self._one_line:
            event.stop()
            event.prevent_default()
            self.action_keep()
            return
        await super()._on_key(event)

    def action_keep(self) -> None:
        """Keeps the text."""
        self.post_message(self.Left(self.text))

    def action_cancel(self) -> None:
        """Leaves the text as it was."""
        self.post_message(self.Left(None))

    def action_newline(self) -> None:
        """Begins a new line, where there may be several."""
        if not self._one_line:
            self.insert("\n")

    def on_blur(self) -> None:
        """Leaving the field keeps the text, as saving does."""
        self.post_message(self.Left(self.text))


class Field(Widget, can_focus=True):
    """A label and a text; Enter or a click edits it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "edit", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]
    DEFAULT_CSS = """
    Field { height: auto; width: 100%; padding: 0 1; layout: vertical; }
    Field > Static { width: 100%; height: auto; }
    Field:focus { background: $boost; border-left: outer $accent; padding: 0 1 0 0; }
    Field:hover { background: $boost; }
    Field.-editing { padding: 0; border: none; background: transparent; }
    Field:nocolor:focus > Static { text-style: bold; }
    """

    text: reactive[str] = reactive("")

    class Edited(Message):
        """The text was changed."""

        def __init__(self, field: Field) -> None:
            super().__init__()
            self.field = field

        @property
        def control(self) -> Field:
            """The field."""
            return self.field

    def __init__(
        self,
        key: str,
        label: str,
        text: str,
        *,
        one_line: bool = True,
        empty: str = "…",
        rows: int = 4,
        ink: str = "",
        note: str = "",
    ) -> None:
        super().__init__()
        self.key = key
        """What the field is, for whoever listens."""
        self._label = label
        self._one_line = one_line
        self._empty = empty
        self._rows = rows
        self._ink = ink
        self._note = note
        self.set_reactive(Field.text, text)

    def compose(self) -> ComposeResult:
        """What is shown while nobody edits."""
        yield Static(self._content())

    def _content(self) -> Content:
        shown = shortened(self.text, self._rows)
        body = Content.styled(self._empty, "$prose-info italic")
        if shown:
            body = Content.styled(shown, self._ink) if self._ink else Content(shown)
        if self._note:
            body += Content.styled(self._note, "$prose-info")
        if not self._label:
            return body
        return Content.styled(f"{self._label}\n", "$prose-info") + body

    def watch_text(self) -> None:
        """Shows the new text."""
        for static in self.query(Static):
            static.update(self._content())

    def on_click(self) -> None:
        """A click edits."""
        self.action_edit()

    def action_edit(self) -> None:
        """Puts an editor in the text's place."""
        if self.has_class("-editing"):
            return
        self.add_class("-editing")
        self.query_one(Static).display = False
        editor = FieldEditor(self._label or self.key, self.text, one_line=self._one_line)
        self.mount(editor)
        editor.move_cursor(editor.document.end)
        editor.focus()

    async def on_field_editor_left(self, event: FieldEditor.Left) -> None:
        """Takes the editor away; a changed text is told."""
        event.stop()
        if not self.has_class("-editing"):
            return
        self.remove_class("-editing")
        had_focus = any(editor.has_focus for editor in self.query(FieldEditor))
        await self.query(FieldEditor).remove()
        self.query_one(Static).display = True
        if had_focus:
            self.focus()
        if event.text is not None and event.text.strip() != self.text.strip():
            self.text = event.text.strip()
            self.post_message(self.Edited(self))


def shortened(text: str, rows: int) -> str:
    """A text without blank lines and bold marks, cut to about some rows of a narrow panel."""
    shown = "\n".join(line for line in text.replace("**", "").split("\n") if line.strip())
    limit = rows * _ROW
    return shown if len(shown) <= limit else shown[:limit].rsplit(" ", 1)[0] + " …"
