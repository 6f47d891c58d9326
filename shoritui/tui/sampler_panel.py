"""The sampler: a preset to choose, and its values to turn, also while a reply is written.

It does not know the engine; what is changed is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from shoritui.tui.knob import Knob, Scale

if TYPE_CHECKING:
    from shoritui.engine import Sampling

SCALES: dict[str, Scale] = {
    "temperature": Scale(0, 20, 0.05),
    "min_p": Scale(0, 1, 0.01),
    "top_p": Scale(0, 1, 0.01),
    "top_k": Scale(0, 1000, 1, 0),
    "typical_p": Scale(0, 1, 0.01),
    "presence_penalty": Scale(-10, 10, 0.05),
    "frequency_penalty": Scale(-10, 10, 0.05),
    "repeat_penalty": Scale(0.1, 10, 0.05),
    "penalty_window": Scale(0, 65536, 64, 0),
    "mirostat": Scale(0, 2, 2, 0),
    "mirostat_tau": Scale(0, 20, 0.05),
    "mirostat_eta": Scale(0, 1, 0.001, 4),
    "seed": Scale(0, 2**32 - 2, 1, 0, "any"),
}


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


class SamplerPanel(VerticalScroll, can_focus=False):
    """A preset and a knob for each value."""

    DEFAULT_CSS = """
    SamplerPanel { height: 1fr; scrollbar-size-vertical: 1; }
    SamplerPanel #order { width: 100%; padding: 1 1 0 1; color: $prose-info; }
    """

    class Changed(Message):
        """A value was turned."""

        def __init__(self, name: str, value: float | int | None) -> None:
            super().__init__()
            self.value_name = name
            self.value = value

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[str, Sampling, Sampling] | None = None

    def compose(self) -> ComposeResult:
        """The preset first, the order of the steps last."""
        yield PresetRow("", id="preset", markup=False)
        for name, scale in SCALES.items():
            yield Knob(name, scale)
        yield Static("", id="order", markup=False)

    def on_mount(self) -> None:
        """Shows what was set before the panel was opened."""
        if self._shown is not None:
            self.show(*self._shown)

    def show(self, title: str, sampling: Sampling, original: Sampling) -> None:
        """Shows the values in use, and marks those that differ from the preset's."""
        self._shown = (title, sampling, original)
        if not self.is_mounted:
            return
        self.query_one("#preset", PresetRow).update(Content(f"{title} ▾"))
        for knob in self.query(Knob):
            knob.show(getattr(sampling, knob.key), getattr(original, knob.key))
        order = " → ".join(name.replace("_", " ") for name in sampling.order)
        self.query_one("#order", Static).update(
            Content(f"In this order: {order}.\n← → turn · digits set · r resets")
        )

    def on_knob_turned(self, event: Knob.Turned) -> None:
        """Tells the new value; whole numbers as such."""
        event.stop()
        value = event.knob.value
        if value is not None and SCALES[event.knob.key].digits == 0:
            value = int(value)
        self.post_message(self.Changed(event.knob.key, value))
