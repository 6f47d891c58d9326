"""A text that is edited where it stands (`Field`), or over the story (`Editor`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static, TextArea

from shoritui.tui.widgets.chooser import Choice, Chooser, Framed

_ROW = 36


@dataclass
class Refused(Message):
    """What was written can't be taken, and why."""

    sentence: str


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
        border: none; border-top: round $border; border-bottom: round $border;
        border-title-color: $prose-title; border-subtitle-color: $prose-info;
        background: $background; padding: 0 0 0 1;
        scrollbar-size-vertical: 0;
        &:focus { border: none; border-top: round $border; border-bottom: round $border; }
        & .text-area--cursor-line { background: transparent; }
    }
    """

    def __init__(self, title: str, text: str, *, one_line: bool) -> None:
        super().__init__(text, highlight_cursor_line=False)
        self._before = text
        self._one_line = one_line
        self._is_asking = False
        self.border_title = Content(title)
        self.border_subtitle = "⏎ keep · esc" if one_line else "^s keep · esc"

    @dataclass
    class Left(Message):
        """The editor was left; with the text to keep, or without."""

        text: str | None

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter" and self._one_line:
            event.stop()
            event.prevent_default()
            self.action_keep()
            return
        await super()._on_key(event)

    def action_keep(self) -> None:
        """Keep the text."""
        self.post_message(self.Left(self.text))

    @work
    async def action_cancel(self) -> None:
        """Leave; where the text was changed, ask what becomes of it."""
        keep = False
        if self.text.strip() != self._before.strip():
            choices = [
                Choice("keep", "Keep what was written"),
                Choice("discard", "Discard it"),
                Choice("stay", "Go on writing"),
            ]
            self._is_asking = True
            answer = await self.app.push_screen_wait(
                Chooser("The text was changed", choices, filters=False)
            )
            self._is_asking = False
            if answer not in ("keep", "discard"):
                return
            keep = answer == "keep"
        self.post_message(self.Left(self.text if keep else None))

    def action_newline(self) -> None:
        """Begin a new line, where there may be several."""
        if not self._one_line:
            self.insert("\n")

    def on_blur(self) -> None:
        """Leaving the field keeps the text, as saving does."""
        if not self._is_asking:
            self.post_message(self.Left(self.text))


class Field(Widget, can_focus=True):
    """A label and a text; Enter or a click edits it."""

    BINDINGS: ClassVar[list[BindingType]] = [
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

    @dataclass
    class Edited(Message):
        """The text was changed."""

        field: Field

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
        title: str = "",
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
        self._title = title or label
        """What the editor is called."""
        self.set_reactive(Field.text, text)
        self._shown = Static(self._content())
        """What is shown while nobody edits."""

    def compose(self) -> ComposeResult:
        """The text."""
        yield self._shown

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
        """Show the new text."""
        self._shown.update(self._content())

    def on_click(self) -> None:
        """A click edits."""
        self.action_edit()

    def action_edit(self) -> None:
        """Put an editor in the text's place."""
        if self.has_class("-editing"):
            return
        self.add_class("-editing")
        self._shown.display = False
        editor = FieldEditor(self._title, self.text, one_line=self._one_line)
        self.mount(editor)
        editor.move_cursor(editor.document.end)
        editor.focus()

    def on_key(self, event: events.Key) -> None:
        """Enter edits at once: what is typed right behind it belongs to the editor."""
        is_editing = self.has_class("-editing")
        if event.key in ("enter", "space") and not is_editing:
            self.action_edit()
        elif is_editing and event.key == "enter" and self._one_line:
            self.query_one(FieldEditor).action_keep()
        elif is_editing and event.is_printable and event.character:
            self.query_one(FieldEditor).insert(event.character)
        else:
            return
        event.stop()

    async def on_field_editor_left(self, event: FieldEditor.Left) -> None:
        """Take the editor away; a changed text is reported."""
        event.stop()
        if not self.has_class("-editing"):
            return
        self.remove_class("-editing")
        had_focus = any(editor.has_focus for editor in self.query(FieldEditor))
        await self.query(FieldEditor).remove()
        self._shown.display = True
        if had_focus:
            self.focus()
        if event.text is not None and event.text.strip() != self.text.strip():
            self.text = event.text.strip()
            self.post_message(self.Edited(self))


class Editor(Framed[str | None]):
    """Gives the text after Ctrl+S, or nothing after Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # Without priority: they come after the letters typed before them.
        Binding("ctrl+s", "keep", show=False),
        Binding("escape", "leave", show=False),
    ]
    DEFAULT_CSS = """
    Editor > Vertical { width: 92; max-width: 96%; height: auto; max-height: 80%; }
    Editor TextArea {
        height: auto; min-height: 5; max-height: 70vh;
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
            frame.border_subtitle = "^s keep · esc close"
            yield TextArea(self._text)

    def on_mount(self) -> None:
        """The cursor begins at the end."""
        area = self.query_one(TextArea)
        area.move_cursor(area.document.end)
        area.focus()

    def action_keep(self) -> None:
        """Keep the text."""
        self.dismiss(self.query_one(TextArea).text)

    @work
    async def action_leave(self) -> None:
        """Leaves; if that would lose something, asks first."""
        if self.query_one(TextArea).text != self._text:
            choices = [
                Choice("stay", "Go on editing"),
                Choice("leave", "Leave, losing the changes"),
            ]
            answer = await self.app.push_screen_wait(
                Chooser("The text was changed", choices, filters=False)
            )
            if answer != "leave":
                return
        self.dismiss(None)


class Splitter(Framed[int | None]):
    """Gives the character before which the cursor stands at Enter, or nothing after Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "split", show=False, priority=True),
        Binding("escape", "dismiss(None)", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    Splitter > Vertical { width: 92; max-width: 96%; height: 70%; }
    Splitter TextArea, Splitter TextArea:focus {
        border: none; background: $surface; padding: 0 1;
        & .text-area--cursor-line { background: transparent; }
    }
    """

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._area = TextArea(text, read_only=True)

    def compose(self) -> ComposeResult:
        """The text in a frame."""
        with Vertical() as frame:
            frame.border_title = Content(self._title)
            frame.border_subtitle = "⏎ split where the cursor stands · esc close"
            yield self._area

    def on_mount(self) -> None:
        """The cursor begins at the first character."""
        self._area.focus()

    def action_split(self) -> None:
        """Give the cursor's place."""
        row, column = self._area.cursor_location
        before = self._area.document.lines[:row]
        self.dismiss(sum(len(line) + 1 for line in before) + column)


def shortened(text: str, rows: int) -> str:
    """Return a text without blank lines and bold marks, cut to some rows of a narrow panel."""
    shown = "\n".join(line for line in text.replace("**", "").split("\n") if line.strip())
    limit = rows * _ROW
    return shown if len(shown) <= limit else shown[:limit].rsplit(" ", 1)[0] + " …"
