"""The one-row bars: the story's name at the top, what is happening and the keys at the bottom.

They do not know where their words come from; they know which to leave out on a narrow screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from shoritui.tui.inks import Inks, inks_of
from shoritui.tui.wrapping import fit

_METER = 10


class Bar(Widget):
    """A row of words at the left and at the right."""

    DEFAULT_CSS = """
    Bar { height: 1; width: 100%; background: $surface; color: $foreground; }
    """
    _inks: Inks | None = None

    def notify_style_update(self) -> None:
        """Forgets every style: the theme changed."""
        super().notify_style_update()
        self._inks = None

    def ink(self, name: str) -> Style:
        """A style by its name; an empty one is the bar's own."""
        if self._inks is None:
            self._inks = inks_of(self)
        return self._inks[name] if name else self._inks.base

    def row(self, left: Sequence[tuple[str, str]], right: Sequence[tuple[str, str]]) -> Strip:
        """One strip of `(text, ink)` words, the left ones cut if both don't fit."""
        width = self.size.width
        taken = sum(cell_len(text) for text, _ in right)
        room = max(0, width - taken - 2)
        segments, used = [Segment(" ", self.ink(""))], 1
        for text, ink in left:
            shown = fit(text, room - used + 1)
            segments.append(Segment(shown, self.ink(ink)))
            used += cell_len(shown)
        segments.append(Segment(" " * max(1, width - used - taken - 1), self.ink("")))
        segments += [Segment(text, self.ink(ink)) for text, ink in right]
        return Strip(segments).crop_extend(0, width, self.ink(""))


class Masthead(Bar):
    """The story's title and tags."""

    heading: reactive[tuple[str, str, str]] = reactive(("ShoriTUI", "", ""))
    """Title, tags, and what stands at the right."""

    def render_line(self, y: int) -> Strip:
        """The one row."""
        title, tags, right = self.heading
        left = [(title, "title")]
        if tags and self.size.width >= 80:
            left.append((f"  {tags}", "faint"))
        return self.row(left, [(f"{right} ", "faint")] if right else [])


@dataclass(frozen=True, slots=True)
class Doing:
    """What the status line tells."""

    now: str = ""
    """What is happening."""
    busy: bool = False
    trouble: bool = False
    model: str = ""
    used: int = 0
    size: int = 0
    mode: str = ""
    """What the engine does when the context is full."""
    reused: int = 0
    evaluated: int = 0
    tokens_per_second: float = 0.0


class StatusLine(Bar):
    """What the app is doing, and the figures of the last turn."""

    doing: reactive[Doing] = reactive(Doing())

    def render_line(self, y: int) -> Strip:
        """The one row."""
        doing = self.doing
        mark, ink = ("✕ ", "warning") if doing.trouble else ("● ", "accent")
        if not doing.busy and not doing.trouble:
            mark, ink = "○ ", "faint"
        left = [(mark, ink), (doing.now, "" if doing.busy or doing.trouble else "faint")]
        return self.row(left, self._figures(cell_len(doing.now) + 6))

    def _figures(self, taken: int) -> list[tuple[str, str]]:
        """As many of the figures as there is room for, the most telling ones first."""
        doing, room = self.doing, self.size.width - taken
        meter, context = "", f"ctx {doing.size:,}" if doing.size else ""
        if doing.size and doing.used:
            filled = round(_METER * min(1, doing.used / doing.size))
            meter = f"{'▰' * filled}{'▱' * (_METER - filled)} "
            context = f"ctx {doing.used:,}/{doing.size:,}"
        speed = f"{doing.tokens_per_second:.0f} tok/s" if doing.tokens_per_second else ""
        # Some servers tell neither.
        told = doing.reused or doing.evaluated
        read = f"reused {doing.reused:,} new {doing.evaluated:,}" if told else ""
        order = [(2, doing.model), (3, read), (1, speed), (0, context)]
        chosen: list[tuple[int, str]] = []
        for rank in range(4):
            word = next(text for number, text in order if number == rank)
            if word and cell_len(word) + 3 <= room:
                chosen.append((rank, word))
                room -= cell_len(word) + 3
        words = [text for number, text in order if (number, text) in chosen]
        parts: list[tuple[str, str]] = []
        for number, word in enumerate(words):
            if number:
                parts.append((" · ", "faint"))
            if word == context and room >= cell_len(meter):
                parts.append((meter, "accent"))
                room -= cell_len(meter)
            parts.append((word, "faint"))
            if word == context and room > cell_len(doing.mode) > 0:
                parts.append((f" {doing.mode}", "faint"))
        return [*parts, (" ", "")]


@dataclass(frozen=True, slots=True)
class KeyHint:
    """A key in the footer, and what pressing or clicking it does."""

    key: str
    word: str
    action: str


class KeyBar(Bar):
    """The keys that matter here and now; they can be clicked."""

    hints: reactive[tuple[KeyHint, ...]] = reactive(())
    """The last one stands at the right."""

    class Pressed(Message):
        """A key was clicked."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self) -> None:
        super().__init__()
        self._places: list[tuple[int, int, str]] = []

    def render_line(self, y: int) -> Strip:
        """As many keys as fit, and the last one always."""
        if not self.hints:
            return self.row([], [])
        *hints, last = self.hints
        width = self.size.width
        right = [(f" {last.key}", "accent"), (f" {last.word} ", "faint")]
        room = width - sum(cell_len(text) for text, _ in right) - 2
        self._places = [(width - 2 - cell_len(last.key + last.word), width, last.action)]
        left: list[tuple[str, str]] = []
        at = 1
        for hint in hints:
            cells = cell_len(hint.key) + cell_len(hint.word) + 3
            if at + cells > room:
                break
            left += [(hint.key, "accent"), (f" {hint.word}  ", "faint")]
            self._places.append((at, at + cells - 1, hint.action))
            at += cells
        return self.row(left, right)

    def on_click(self, event: events.Click) -> None:
        """Does what the key under the mouse does."""
        for first, last, action in self._places:
            if first <= event.x < last:
                self.post_message(self.Pressed(action))
