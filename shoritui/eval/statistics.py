"""Rank correlation, and how sure a figure is: the bootstrap over groups of samples.

Replies at the same place of a story resemble each other, so places are drawn, not replies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

T = TypeVar("T")

_DRAWS: Final = 1000
_TAIL: Final = 0.025
_RULE_OF_THREE: Final = 3.0
"""What never came in n samples comes in less than 3 / n of all, with 95 % confidence."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, and the range in which it lies with 95 % confidence."""

    value: float
    low: float
    high: float
    count: int
    """Samples it was made of."""


@dataclass(frozen=True, slots=True)
class Count:
    """A part of a whole: words that are known of all words, or one reply that is right."""

    part: float
    whole: float = 1.0


def ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, from 1; equal ones share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end < len(order) and values[order[end]] == values[order[begin]]:
            end += 1
        for index in order[begin:end]:
            found[index] = (begin + 1 + end) / 2
        begin = end
    return found


def spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return the rank correlation of pairs, from -1 to 1; None if one side never changes."""
    if not pairs:
        return None
    x, y = (ranks(side) for side in zip(*pairs, strict=True))
    mean = (len(pairs) + 1) / 2
    both = sum((a - mean) * (b - mean) for a, b in zip(x, y, strict=True))
    spread = sum((a - mean) ** 2 for a in x) * sum((b - mean) ** 2 for b in y)
    return both / spread**0.5 if spread else None


def share(counts: Sequence[Count]) -> float | None:
    """Return the part of the whole over all of them; None if there is no whole."""
    whole = sum(count.whole for count in counts)
    return sum(count.part for count in counts) / whole if whole else None


def estimate(
    groups: Sequence[Sequence[T]], figure: Callable[[Sequence[T]], float | None], seed: int = 0
) -> Estimate | None:
    """Return a figure of all samples with its confidence interval; None if there is none.

    Args:
        groups: The samples, those together that resemble each other.
        figure: Makes the figure of samples.
        seed: Draws the same groups each time.
    """
    groups = [group for group in groups if group]
    every = [sample for group in groups for sample in group]
    value = figure(every)
    if value is None:
        return None
    random = Random(seed)
    found = []
    for _ in range(_DRAWS):
        drawn = figure([each for group in random.choices(groups, k=len(groups)) for each in group])
        if drawn is not None:
            found.append(drawn)
    found.sort()
    return Estimate(value, _at(found, _TAIL, value), _at(found, 1 - _TAIL, value), len(every))


def estimate_share(groups: Sequence[Sequence[Count]], seed: int = 0) -> Estimate | None:
    """Return the same of a share, quickly: of each group only its sums count."""
    sums = [
        [Count(sum(c.part for c in group), sum(c.whole for c in group))]
        for group in groups
        if group
    ]
    found = estimate(sums, share, seed)
    if found is None:
        return None
    count = sum(map(len, groups))
    low, high = found.low, found.high
    if all(each.whole == 1 for group in groups for each in group):
        # Where all are alike, every draw is: then the rule of three says what may be missed.
        low = min(low, 1 - min(_RULE_OF_THREE / count, 1)) if found.value == 1 else low
        high = max(high, min(_RULE_OF_THREE / count, 1)) if found.value == 0 else high
    return Estimate(found.value, low, high, count)


def _at(found: Sequence[float], part: float, otherwise: float) -> float:
    if not found:
        return otherwise
    return found[min(int(part * len(found)), len(found) - 1)]
