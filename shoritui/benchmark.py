"""Rows of a benchmark: what each aims at, what was measured, and how it is printed.

For example:

    id              value     unit    aim        ok   spread
    first_token     41.2      ms      <= 50      yes  40.8 .. 43 (5)
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Generic, TypeVar

from shoritui.errors import UserError
from shoritui.progress import show
from shoritui.text import closest

_COMPARE: Final = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_FORMAT: Final = "{:<28} {:>9} {:<7} {:<10} {:<4} {}"
HEADER: Final = _FORMAT.format("id", "value", "unit", "aim", "ok", "spread").rstrip()

M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)


class Unmeasurable(Exception):
    """A row cannot be measured here; the text says why, in a sentence."""


@dataclass(frozen=True, slots=True)
class Aim:
    """A row to measure: its id, its unit, and the aim as it is printed, such as `<= 50`."""

    id: str
    unit: str
    aim: str = ""
    """Empty where the value is only stated."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured of a row: ratios of two things taken in one run, or times."""

    samples: Sequence[float]
    """Their median is the row's value; none says that it cannot be measured here."""
    note: str = ""
    aim: str | None = None
    """Takes the place of the row's own aim, where that depends on what was measured."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is printed; without a value it could not be measured, and the note says why."""

    id: str
    value: float | None
    unit: str
    aim: str
    ok: bool | None
    """Whether the value reaches the aim; None without a value or an aim."""
    low: float | None
    high: float | None
    samples: int
    note: str


@dataclass(frozen=True, slots=True)
class Benchmark(Generic[M_co]):
    """What measures one or more rows; it can be asked for by its topic or by any of its rows."""

    topic: str
    aims: tuple[Aim, ...]
    measure: M_co

    @property
    def names(self) -> set[str]:
        """Return what it can be asked for by."""
        return {self.topic, *(aim.id for aim in self.aims)}

    def rows(self, figures: Mapping[str, Figure], names: Iterable[str] = ()) -> list[Row]:
        """Return its rows, of these names only if any of them is meant alone."""
        asked = set(names) & {aim.id for aim in self.aims}
        whole = not asked or self.topic in names
        return [row(aim, figures[aim.id]) for aim in self.aims if whole or aim.id in asked]

    def missing(self, why: str, names: Iterable[str] = ()) -> list[Row]:
        """Return its rows without values."""
        return self.rows({aim.id: Figure((), why) for aim in self.aims}, names)


def benchmark(*aims: Aim) -> Callable[[M], Benchmark[M]]:
    """Make a function the benchmark of these rows; its topic is its module's name."""

    def make(measure: M) -> Benchmark[M]:
        module = str(measure.__module__)
        return Benchmark(module.rpartition(".")[2], aims, measure)

    return make


def asked_for(benchmarks: Sequence[Benchmark[M]], names: Sequence[str]) -> Sequence[Benchmark[M]]:
    """Return those that measure any of these rows; all if none is named.

    Raises:
        UserError: There is no such row.
    """
    known = {name for each in benchmarks for name in each.names}
    for name in names:
        if name not in known:
            near = closest(name, known)
            ids = ", ".join(aim.id for each in benchmarks for aim in each.aims)
            hint = f"did you mean {near}?" if near else f"expected some of {ids}."
            raise UserError(f"There is no row {name!r}: {hint}")
    return [each for each in benchmarks if not names or each.names & set(names)]


def row(aim: Aim, figure: Figure) -> Row:
    """Return the median of the samples against the aim."""
    bound = aim.aim if figure.aim is None else figure.aim
    if not figure.samples:
        return Row(aim.id, None, aim.unit, bound, None, None, None, 0, figure.note)
    value = median(figure.samples)
    return Row(
        id=aim.id,
        value=value,
        unit=aim.unit,
        aim=bound,
        ok=reached(bound, value) if bound else None,
        low=min(figure.samples),
        high=max(figure.samples),
        samples=len(figure.samples),
        note=figure.note,
    )


def reached(aim: str, value: float) -> bool:
    """Return whether the value reaches an aim such as `>= 0.98`."""
    comparison, bound = aim.split()
    return bool(_COMPARE[comparison](value, float(bound)))


def table_line(row: Row) -> str:
    """Return one row of the table, its note below it."""
    spread = ""
    if row.low is not None and row.high is not None:
        spread = f"{_number(row.low)} .. {_number(row.high)} ({row.samples})"
    ok = {True: "yes", False: "NO", None: "-"}[row.ok]
    value = "-" if row.value is None else _number(row.value)
    line = _FORMAT.format(row.id, value, row.unit, row.aim or "-", ok, spread).rstrip()
    return f"{line}\n    {row.note}" if row.note else line


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


class RowProgress:
    """Which row is being measured and how far that is, on standard error."""

    def __init__(self) -> None:
        self._what = ""

    def begin(self, what: str) -> None:
        """Go on to another row."""
        self._what = what
        if sys.stderr.isatty():
            show(what)
        else:
            print(what, file=sys.stderr, flush=True)

    def step(self, text: str) -> None:
        """Say how far it is, where stderr is a terminal."""
        show(f"{self._what}: {text}")

    def clear(self) -> None:
        """Leave the line to others."""
        show()
