"""Benchmarks: `python -m tests.benchmarks [NAME...] [--json]`, one module a topic.

A benchmark is a function decorated with the rows it measures. It returns samples for each row's
id, every sample a ratio of two things taken in one run, or a time; the row shows their median and
their spread.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

Samples = Mapping[str, Sequence[float]]
_COMPARE: Final = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True, slots=True)
class Aim:
    """A row to measure: its id, its unit, and the aim as it is printed, such as `<= 50`."""

    id: str
    unit: str
    aim: str

    def reached(self, value: float) -> bool:
        """Whether the value reaches the aim."""
        comparison, bound = self.aim.split()
        return bool(_COMPARE[comparison](value, float(bound)))


@dataclass(frozen=True, slots=True)
class Row:
    """A measured row: the median, the lowest and highest sample."""

    id: str
    value: float
    unit: str
    aim: str
    ok: bool
    low: float
    high: float
    samples: int


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A function that measures one or more rows, found under its module's name and its ids."""

    topic: str
    aims: tuple[Aim, ...]
    measure: Callable[[], Samples]

    @property
    def names(self) -> set[str]:
        """What it can be asked for by."""
        return {self.topic, *(aim.id for aim in self.aims)}

    def rows(self) -> list[Row]:
        """Measure."""
        samples = self.measure()
        return [_row(aim, samples[aim.id]) for aim in self.aims]


BENCHMARKS: Final[list[Benchmark]] = []


def benchmark(*aims: Aim) -> Callable[[Callable[[], Samples]], Callable[[], Samples]]:
    """Register a function as the benchmark of these rows."""

    def register(measure: Callable[[], Samples]) -> Callable[[], Samples]:
        topic = measure.__module__.rpartition(".")[2]
        BENCHMARKS.append(Benchmark(topic, aims, measure))
        return measure

    return register


def _row(aim: Aim, samples: Sequence[float]) -> Row:
    value = median(samples)
    reached = aim.reached(value)
    return Row(aim.id, value, aim.unit, aim.aim, reached, min(samples), max(samples), len(samples))
