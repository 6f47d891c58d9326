"""The sampler: a preset to choose, and its values to turn, also while a reply is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from shoritui.tui.chat.panels.sampler_values import (
    GROUPS,
    HELP,
    LISTS,
    SCALES,
    Group,
    Value,
    list_text,
    read_list,
)
from shoritui.tui.widgets.bars import FoldHead
from shoritui.tui.widgets.field import Field, FieldEditor, Refused
from shoritui.tui.widgets.knob import Knob

if TYPE_CHECKING:
    from shoritui.engine import Sampling

_KNOB_KEYS = "← → turn · digits set · r resets"
_LIST_KEYS = "⏎ edits"
_EDITOR_KEYS = "^s keeps · esc leaves it as it was"
_GROUP_KEYS = "⏎ folds"


class PresetRow(Static, can_focus=True):
    """The preset in use; Enter or a click chooses another."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space,right,left", "app.act('preset')", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]
    DEFAULT_CSS = """
    PresetRow {
        width: 100%; height: auto; padding: 1 1; text-style: bold; color: $prose-title;
        &:focus { background: $boost; border-left: outer $accent; padding: 1 1 1 0; }
        &:hover { background: $boost; }
    }
    """

    async def on_click(self) -> None:
        """A click chooses."""
        await self.run_action("app.act('preset')")


class ValueGroup(Vertical):
    """A head and the values under it; open while one of them does something, or by hand."""

    DEFAULT_CSS = """
    ValueGroup, ValueGroup > Vertical { height: auto; width: 100%; }
    """

    def __init__(self, group: Group) -> None:
        super().__init__()
        self._group = group
        self._active: tuple[str, ...] = ()
        self._folded_by_hand: bool | None = None

    def compose(self) -> ComposeResult:
        """The head, then a knob or a text for each value."""
        if self._group.title:
            yield FoldHead(ink="label")
        with Vertical():
            for name in self._group.names:
                if name in SCALES:
                    yield Knob(name, SCALES[name])
                else:
                    note = f"\n{LISTS[name]}"
                    label = name.replace("_", " ")
                    yield Field(name, label, "", one_line=False, empty="none", note=note)

    def show(self, sampling: Sampling, original: Sampling, neutral: Sampling) -> None:
        """Show the values in use, and mark those that differ from the preset's."""
        for knob in self.query(Knob):
            knob.show(getattr(sampling, knob.key), getattr(original, knob.key))
        for field in self.query(Field):
            field.text = list_text(field.key, getattr(sampling, field.key))
        switches = self._group.switches
        self._active = tuple(
            f"{name.rpartition('_')[0] or name} {_brief(getattr(sampling, name))}"
            for name in switches
            if getattr(sampling, name) != getattr(neutral, name)
        )
        self._show_fold()

    def on_fold_head_folded(self, event: FoldHead.Folded) -> None:
        """Fold or unfold; it stays so."""
        event.stop()
        self._folded_by_hand = not self._is_folded
        self._show_fold()

    @property
    def _is_folded(self) -> bool:
        if self._folded_by_hand is not None:
            return self._folded_by_hand
        return bool(self._group.title) and not self._active

    def _show_fold(self) -> None:
        self.query_one(Vertical).display = not self._is_folded
        for head in self.query(FoldHead):
            mark = "▸" if self._is_folded else "▾"
            right = self._active[0] if self._active else "off"
            head.label = (f"{mark} {self._group.title}", right)


class SamplerPanel(Vertical):
    """A preset, and knobs for its values in groups; what does nothing is folded away."""

    DEFAULT_CSS = """
    SamplerPanel { height: 1fr; }
    SamplerPanel > VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    SamplerPanel #help {
        width: 100%; height: 4; padding: 0 1; color: $prose-info;
        border-top: solid $prose-rule;
    }
    """

    @dataclass
    class Changed(Message):
        """A value was turned."""

        value_name: str
        value: Value

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[str, Sampling, Sampling] | None = None

    def compose(self) -> ComposeResult:
        """The preset first, help on what has the focus below all."""
        with VerticalScroll(can_focus=False):
            yield PresetRow("", id="preset")
            for group in GROUPS:
                yield ValueGroup(group)
        yield Static("", id="help")

    def on_mount(self) -> None:
        """Show what was set before the panel was opened."""
        if self._shown is not None:
            self.show(*self._shown)

    def show(self, title: str, sampling: Sampling, original: Sampling) -> None:
        """Show the values in use, and mark those that differ from the preset's."""
        from shoritui.engine import Sampling as Values

        self._shown = (title, sampling, original)
        if not self.is_mounted:
            return
        self.query_one("#preset", PresetRow).update(Content(f"{title} ▾"))
        neutral = Values()
        for group in self.query(ValueGroup):
            group.show(sampling, original, neutral)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Say what the focused value does, and its keys."""
        self.query_one("#help", Static).update(Content(_help(event.widget)))

    def on_knob_turned(self, event: Knob.Turned) -> None:
        """Report the new value; whole numbers as such."""
        event.stop()
        value = event.knob.value
        if value is not None and SCALES[event.knob.key].digits == 0:
            value = int(value)
        self.post_message(self.Changed(event.knob.key, value))

    def on_field_edited(self, event: Field.Edited) -> None:
        """Report the new list."""
        event.stop()
        name = event.field.key
        try:
            self.post_message(self.Changed(name, read_list(name, event.field.text)))
        except ValueError as error:
            self.post_message(Refused(f"{error}: write it as word = number."))
            if self._shown is not None:
                self.show(*self._shown)


def _help(widget: Widget) -> str:
    match widget:
        case Knob():
            return f"{HELP[widget.key]}\n{_KNOB_KEYS}"
        case Field():
            return f"{HELP[widget.key]}\n{_LIST_KEYS}"
        case FieldEditor(parent=Field() as field):
            return f"{HELP[field.key]}\n{_EDITOR_KEYS}"
        case FoldHead():
            return _GROUP_KEYS
    return ""


def _brief(value: object) -> str:
    if isinstance(value, tuple):
        return str(len(value))
    return f"{value:g}" if isinstance(value, float) else str(value)
