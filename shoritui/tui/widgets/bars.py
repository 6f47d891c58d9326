"""One-row bars: the story's name at the top, what is happening and the keys at the bottom, heads of
what folds. On a narrow screen the least telling words are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from shoritui.tui.widgets.styles import Inked
from shoritui.tui.widgets.wrap import fit

_METER = 10
_BEFORE_FIRST = 2
"""Cells that no separator takes, since none stands before the first figure."""
_REPEATS = 0.1
"""Less repetition is nothing to show."""


class Bar(Inked):
    """A row of words at the left and at the right."""

    DEFAULT_CSS = """
    Bar { height: 1; width: 100%; background: $surface; color: $foreground; }
    """

    def row(self, left: Sequence[tuple[str, str]], right: Sequence[tuple[str, str]]) -> Strip:
        """Return one strip of `(text, ink)` words, the left ones cut if both don't fit."""
        width = self.size.width
        taken = sum(cell_len(text) for text, _ in right)
        room = max(0, width - taken - 2)
        segments, used = [Segment(" ", self.inks[""])], 1
        for text, ink in left:
            shown = fit(text, room - used + 1)
            segments.append(Segment(shown, self.inks[ink]))
            used += cell_len(shown)
        segments.append(Segment(" " * max(1, width - used - taken - 1), self.inks[""]))
        segments += [Segment(text, self.inks[ink]) for text, ink in right]
        return Strip(segments).crop_extend(0, width, self.inks[""])


class FoldHead(Bar, can_focus=True):
    """The row that folds and unfolds what is under it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "fold", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]
    DEFAULT_CSS = """
    FoldHead:hover { background: $boost; }
    FoldHead:focus { background: $boost; text-style: underline; }
    """
    label: reactive[tuple[str, str]] = reactive(("", ""))
    """What stands at the left, and at the right."""

    class Folded(Message):
        """The row was clicked or Enter pressed on it."""

    def __init__(self, ink: str = "title") -> None:
        super().__init__()
        self._ink = ink

    def render_line(self, y: int) -> Strip:
        """Return the one row."""
        left, right = self.label
        ink = "accent" if self.has_focus else self._ink
        return self.row([(left, ink)], [(f"{right} ", "faint")])

    def on_click(self) -> None:
        """A click folds."""
        self.action_fold()

    def action_fold(self) -> None:
        """Ask to fold or unfold."""
        self.post_message(self.Folded())


class Masthead(Bar):
    """The story's title and tags."""

    NO_STORY = ("ShoriTUI", "", "")
    heading: reactive[tuple[str, str, str]] = reactive(NO_STORY)
    """Title, tags, and what stands at the right."""

    def render_line(self, y: int) -> Strip:
        """Return the one row."""
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
    news: str = ""
    """Said in place of what is happening, for a moment."""
    repeated: float = 0.0
    """How much of the newest words had been said before, from 0 to 1."""


class StatusLine(Bar):
    """What the app is doing, and the figures of the last turn."""

    doing: reactive[Doing] = reactive(Doing())

    def render_line(self, y: int) -> Strip:
        """Return the one row."""
        doing = self.doing
        mark, ink = ("✕ ", "warning") if doing.trouble else ("● ", "best")
        if not doing.busy and not doing.trouble:
            mark, ink = "○ ", "faint"
        now, is_quiet = doing.news or doing.now, not (doing.busy or doing.trouble or doing.news)
        left = [(mark, ink), (now, "faint" if is_quiet else "")]
        return self.row(left, self._figures(cell_len(now) + 6))

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
        told = doing.reused + doing.evaluated
        read = f"read again {doing.evaluated:,} of {told:,}" if told else ""
        if told and not doing.reused:
            read = f"read all {told:,} tokens"
        repeats = f"repeats {doing.repeated:.0%}" if doing.repeated >= _REPEATS else ""
        order = [(3, doing.model), (4, read), (2, speed), (0, repeats), (1, context)]
        chosen: list[tuple[int, str]] = []
        for rank in range(5):
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
                parts.append((meter, "evaluated"))
                room -= cell_len(meter)
            parts.append((word, "warning" if word == repeats else "faint"))
            if word == context and room + _BEFORE_FIRST > cell_len(doing.mode) > 0:
                parts.append((f" {doing.mode}", "faint"))
        return [*parts, (" ", "")]


@dataclass(frozen=True, slots=True)
class KeyHint:
    """A key in the footer, and what pressing or clicking it does."""

    key: str
    word: str
    action: str
    rank: int = 0
    """Where room is short, those of a higher rank go first."""


class KeyBar(Bar):
    """The keys that matter here and now; they can be clicked."""

    hints: reactive[tuple[KeyHint, ...]] = reactive(())
    """The last one stands at the right."""

    @dataclass
    class Pressed(Message):
        """A key was clicked."""

        action: str

    def __init__(self) -> None:
        super().__init__()
        self._places: list[tuple[int, int, str]] = []

    def render_line(self, y: int) -> Strip:
        """Return as many keys as fit, and the last one always."""
        if not self.hints:
            return self.row([], [])
        *hints, last = self.hints
        width = self.size.width
        right = [(f" {last.key}", "key"), (f" {last.word} ", "faint")]
        room = width - sum(cell_len(text) for text, _ in right) - 2
        self._places = [(width - 2 - cell_len(last.key + last.word), width, last.action)]
        left: list[tuple[str, str]] = []
        at = 1
        for hint in _fitting(hints, room - at):
            cells = _cells(hint)
            left += [(hint.key, "key"), (f" {hint.word}  ", "faint")]
            self._places.append((at, at + cells - 1, hint.action))
            at += cells
        return self.row(left, right)

    def on_click(self, event: events.Click) -> None:
        """Do what the key under the mouse does."""
        for first, last, action in self._places:
            if first <= event.x < last:
                self.post_message(self.Pressed(action))


def _cells(hint: KeyHint) -> int:
    return cell_len(hint.key) + cell_len(hint.word) + 3


def _fitting(hints: Sequence[KeyHint], room: int) -> list[KeyHint]:
    """Return the hints that there is room for, in their order, those of a low rank first."""
    chosen: list[KeyHint] = []
    for hint in sorted(hints, key=lambda hint: hint.rank):
        if _cells(hint) <= room:
            chosen.append(hint)
            room -= _cells(hint)
    return [hint for hint in hints if hint in chosen]
