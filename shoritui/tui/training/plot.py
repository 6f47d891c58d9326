"""A loss curve drawn with braille dots: rows of text and ink for some width and height.

Eight dots make a cell; where curves cross in one cell, the smoothed one is drawn, for it is the
one that is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Points: TypeAlias = Sequence[tuple[int, float]]
InkedText: TypeAlias = list[tuple[str, str]]
"""Texts and their inks, from left to right."""

RAW, SMOOTH, BEST, OTHER, AXIS = "faint", "accent", "best", "evaluated", "info"
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK = 0x2800
_LABEL = 6
_ENDLESS = 1e9
_CLIP_FROM = 20
_CLIP = 0.02


@dataclass(frozen=True, slots=True)
class Curve:
    """What is drawn: steps and values, as they came."""

    raw: Points
    smooth: Points
    marks: Sequence[tuple[int, float, bool]]
    """Evaluations: step, value, whether it was the best so far."""
    steps: int
    """The axis ends here."""


def plot(curve: Curve, width: int, height: int) -> list[InkedText]:
    """Return the rows, each exactly `width` cells; nothing where there is no room or no value."""
    columns, rows = width - _LABEL - 1, height - 1
    values = _shown(curve)
    if columns < 4 or rows < 2 or not values:
        return []
    return _Canvas(curve, columns, rows, *_range(values)).drawn()


def _shown(curve: Curve) -> list[float]:
    """The values that the axis must hold: of many raw ones, not the wildest."""
    raw = sorted(value for _, value in curve.raw if _is_drawn(value))
    cut = int(len(raw) * _CLIP) if len(raw) >= _CLIP_FROM else 0
    values = raw[cut : len(raw) - cut]
    values += [value for _, value in curve.smooth if _is_drawn(value)]
    return values + [value for _, value, _ in curve.marks if _is_drawn(value)]


def _range(values: Iterable[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * 0.05 or abs(low) * 0.05 or 0.5
    return low - margin, high + margin


class _Canvas:
    """Dots and marks of one curve."""

    def __init__(self, curve: Curve, columns: int, rows: int, low: float, high: float) -> None:
        self._curve = curve
        self._columns, self._rows = columns, rows
        self._low, self._high = low, high
        self._first = 0 if any(step == 0 for step, _, _ in curve.marks) else 1
        steps = [step for step, *_ in (*curve.raw, *curve.marks)]
        self._last = max(curve.steps, *steps, self._first + 1)
        self._dots: dict[tuple[int, int], int] = {}
        self._inks: dict[tuple[int, int], str] = {}
        self._marks: dict[tuple[int, int], tuple[str, str]] = {}

    def drawn(self) -> list[InkedText]:
        """Return all rows, the axis below."""
        for step, value in self._curve.raw:
            if _is_drawn(value):
                self._dot(self._x(step), self._y(value), RAW)
        self._line()
        for step, value, is_best in self._curve.marks:
            if _is_drawn(value):
                place = self._x(step) // 2, self._y(value) // 4
                self._marks[place] = ("◆", BEST) if is_best else ("◇", OTHER)
        return [*(self._row(y) for y in range(self._rows)), self._axis()]

    def _line(self) -> None:
        before: tuple[int, int] | None = None
        for step, value in self._curve.smooth:
            if not _is_drawn(value):
                continue
            here = self._x(step), self._y(value)
            for x, y in _between(before, here) if before else [here]:
                self._dot(x, y, SMOOTH)
            before = here

    def _x(self, step: int) -> int:
        share = (step - self._first) / (self._last - self._first)
        return min(max(round(share * (self._columns * 2 - 1)), 0), self._columns * 2 - 1)

    def _y(self, value: float) -> int:
        share = (self._high - value) / (self._high - self._low)
        return min(max(round(share * (self._rows * 4 - 1)), 0), self._rows * 4 - 1)

    def _dot(self, x: int, y: int, ink: str) -> None:
        cell = x // 2, y // 4
        if ink == SMOOTH and self._inks.get(cell) != SMOOTH:
            self._dots[cell] = 0
        self._inks[cell] = ink
        self._dots[cell] = self._dots.get(cell, 0) | _DOTS[x % 2][y % 4]

    def _row(self, y: int) -> InkedText:
        words: InkedText = [(self._label(y), AXIS), ("┤" if self._label(y).strip() else "│", AXIS)]
        for x in range(self._columns):
            place = (x, y)
            if place in self._marks:
                text, ink = self._marks[place]
            else:
                text = chr(_BLANK + self._dots[place]) if place in self._dots else " "
                ink = self._inks.get(place, "")
            if words[-1][1] == ink:
                words[-1] = (words[-1][0] + text, ink)
            else:
                words.append((text, ink))
        return words

    def _label(self, y: int) -> str:
        if y not in (0, self._rows // 2, self._rows - 1):
            return " " * _LABEL
        value = self._high - (self._high - self._low) * (y + 0.5) / self._rows
        return f"{figure(value):>{_LABEL - 1}} "

    def _axis(self) -> InkedText:
        left, right = f"{self._first}", f"step {self._last:,}"
        right = right if len(left) + len(right) < self._columns else ""
        return [(" " * (_LABEL + 1) + left + right.rjust(self._columns - len(left)), AXIS)]


def _between(first: tuple[int, int], last: tuple[int, int]) -> Iterable[tuple[int, int]]:
    """The dots of a straight line, both ends included."""
    (x0, y0), (x1, y1) = first, last
    length = max(abs(x1 - x0), abs(y1 - y0), 1)
    for at in range(length + 1):
        yield round(x0 + (x1 - x0) * at / length), round(y0 + (y1 - y0) * at / length)


def figure(value: float) -> str:
    """Return a loss in at most five characters."""
    texts = (f"{value:.{digits}f}" for digits in (3, 2, 1, 0))
    short = f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
    return next((text for text in texts if len(text) <= _LABEL - 1), short)


def _is_drawn(value: float) -> bool:
    return abs(value) < _ENDLESS
