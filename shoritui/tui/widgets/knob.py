"""A number that is turned with the arrow keys, or typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from shoritui.tui.widgets.styles import inks_of


@dataclass(frozen=True, slots=True)
class Scale:
    """What a knob may show."""

    low: float
    high: float
    step: float
    digits: int = 2
    """How many are shown after the point; none makes it whole."""
    empty: str = ""
    """The word for no value; without it there always is one."""


class Knob(Widget, can_focus=True):
    """One row: a name, a value between two arrows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,minus", "turn(-1)", show=False),
        Binding("right,plus", "turn(1)", show=False),
        Binding("shift+left", "turn(-10)", show=False),
        Binding("shift+right", "turn(10)", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
        Binding("enter", "keep", show=False),
        Binding("backspace", "rub_out", show=False),
        Binding("delete,r", "reset", show=False),
    ]
    DEFAULT_CSS = """
    Knob { height: 1; width: 100%; padding: 0 1; }
    Knob:hover { background: $boost; }
    Knob:focus { background: $boost; border-left: outer $accent; padding: 0 1 0 0; }
    Knob:nocolor:focus { text-style: reverse; }
    """

    value: reactive[float | None] = reactive(0.0)
    original: reactive[float | None] = reactive(0.0)
    """The preset's value; another one is marked."""
    typed: reactive[str] = reactive("")

    @dataclass
    class Turned(Message):
        """The value was changed."""

        knob: Knob

    def __init__(self, key: str, scale: Scale) -> None:
        super().__init__()
        self.key = key
        self._scale = scale

    def show(self, value: float | None, original: float | None) -> None:
        """Show a value that was set elsewhere."""
        self.value, self.original, self.typed = value, original, ""

    def render_line(self, y: int) -> Strip:
        """Return the one row."""
        width, base = self.content_size.width, self.rich_style
        changed = self.value != self.original
        inks = inks_of(self)
        ink = inks["key"] if changed else base
        shown = f"{self.typed}▏" if self.typed else self._text(self.value)
        name = ("• " if changed else "  ") + self.key.replace("_", " ")
        gap = max(1, width - len(name) - len(shown) - 4)
        arrow = inks["faint"]
        segments = [
            Segment(name, ink),
            Segment(" " * gap, base),
            Segment("◂ ", arrow),
            Segment(shown, ink),
            Segment(" ▸", arrow),
        ]
        return Strip(segments).crop_extend(0, width, base)

    def _text(self, value: float | None) -> str:
        if value is None:
            return self._scale.empty
        return f"{value:.{self._scale.digits}f}"

    def action_turn(self, steps: int) -> None:
        """Turn the knob by some steps."""
        scale = self._scale
        if self.value is None:
            self._take(scale.low)
        elif self.value <= scale.low and steps < 0 and scale.empty:
            self._take(None)
        else:
            self._take(self.value + steps * scale.step)

    def action_keep(self) -> None:
        """Take the typed number."""
        try:
            self._take(float(self.typed))
        except ValueError:
            self.typed = ""

    def action_rub_out(self) -> None:
        """Take the last typed digit away."""
        self.typed = self.typed[:-1]

    def action_reset(self) -> None:
        """Go back to the preset's value."""
        self._take(self.original)

    def on_key(self, event: events.Key) -> None:
        """Digits are typed."""
        if event.character and event.character in "0123456789." and len(self.typed) < 9:
            event.stop()
            self.typed += event.character

    def on_blur(self) -> None:
        """Leaving takes what was typed."""
        if self.typed:
            self.action_keep()

    def on_click(self, event: events.Click) -> None:
        """The arrows can be clicked."""
        place = self.content_size.width - (event.x - 1)
        shown = len(self._text(self.value))
        if place <= 2:
            self.action_turn(1)
        elif shown + 2 < place <= shown + 4:
            self.action_turn(-1)

    def _take(self, value: float | None) -> None:
        scale = self._scale
        if value is not None:
            value = round(min(scale.high, max(scale.low, value)), scale.digits)
        self.typed = ""
        if value != self.value:
            self.value = value
            self.post_message(self.Turned(self))
