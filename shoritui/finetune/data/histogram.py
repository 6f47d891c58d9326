"""How numbers are distributed: counted in bins, and drawn with bars of text.

It does not know what the numbers are of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

_BINS = 24
"""At most so many, beside the last one."""
_EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of whole numbers by bins that are all `width` wide, the first from 1 on."""

    width: int
    counts: tuple[int, ...]
    """Of each bin."""
    is_open: bool
    """Whether the last bin has no upper end."""

    def label(self, bin_index: int) -> str:
        """The numbers of a bin, such as `26-50`, or `601+` of the last one."""
        least = bin_index * self.width + 1
        if self.is_open and bin_index == len(self.counts) - 1:
            return f"{least:,}+"
        return f"{least:,}-{least + self.width - 1:,}" if self.width > 1 else f"{least:,}"


def histogram_of(numbers: Sequence[int]) -> Histogram:
    """The distribution; all but the largest hundredth have bins of their own.

    0 counts as 1.
    """
    ranked = sorted(numbers)
    most = ranked[len(ranked) * 99 // 100] if ranked else 1
    width = next(step for step in round_numbers() if step * _BINS >= most)
    bins = max(-(-most // width), 1)
    counts = [0] * (bins + 1)
    for number in ranked:
        counts[min(max(number - 1, 0) // width, bins)] += 1
    is_open = counts[-1] > 0
    return Histogram(width, tuple(counts if is_open else counts[:-1]), is_open)


def bars(histogram: Histogram, columns: int) -> list[str]:
    """A line for each bin, at most so many columns wide: its label, a bar, its count."""
    labels = [histogram.label(at) for at in range(len(histogram.counts))]
    left = max(map(len, labels))
    right = max(len(f"{count:,}") for count in histogram.counts)
    room = max(columns - left - right - 4, 8)
    most = max(histogram.counts) or 1
    return [
        f"{label:>{left}}  {_bar(count / most, room)}{count:,}"
        for label, count in zip(labels, histogram.counts, strict=True)
    ]


def _bar(share: float, room: int) -> str:
    """What is there at all shows, if only just."""
    eighths = max(round(share * room * 8), share > 0)
    bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
    return f"{bar} " if bar else ""


def round_numbers() -> Iterator[int]:
    """Steps that are easily read: 1, 2, 5, 10, 20, and so on without end."""
    for power in count():
        yield from (step * 10**power for step in (1, 2, 5))
