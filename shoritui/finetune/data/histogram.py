"""How numbers are distributed: counted in bins, drawn with bars of text or as a picture.

 1-20  ▏1
21-40  ██████ 8
  41+  ███ 4
"""

from __future__ import annotations

import io
import logging
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
        is_whole = self.width == 1 or self._has_no_end(bin_index)
        return self.begin(bin_index) + ("" if is_whole else f"-{(bin_index + 1) * self.width:,}")

    def begin(self, bin_index: int) -> str:
        """The least number of a bin, such as `26`, or `601+` of the last one."""
        return f"{bin_index * self.width + 1:,}{'+' * self._has_no_end(bin_index)}"

    def _has_no_end(self, bin_index: int) -> bool:
        return self.is_open and bin_index == len(self.counts) - 1


def histogram_of(numbers: Sequence[int]) -> Histogram:
    """Return the distribution; all but the largest hundredth have bins of their own.

    0 counts as 1.
    """
    ranked = sorted(numbers)
    most = ranked[len(ranked) * 99 // 100] if ranked else 1
    width = next(step for step in _round_numbers() if step * _BINS >= most)
    bins = max(-(-most // width), 1)
    counts = [0] * (bins + 1)
    for number in ranked:
        counts[min(max(number - 1, 0) // width, bins)] += 1
    is_open = counts[-1] > 0
    return Histogram(width, tuple(counts if is_open else counts[:-1]), is_open)


def bars(histogram: Histogram, columns: int) -> list[str]:
    """Return a line for each bin, at most so many columns wide: its label, a bar, its count."""
    labels = [histogram.label(at) for at in range(len(histogram.counts))]
    left = max(map(len, labels))
    right = max(len(f"{count:,}") for count in histogram.counts)
    room = max(columns - left - right - 4, 8)
    most = max(histogram.counts) or 1
    return [
        f"{label:>{left}}  {_bar(count / most, room)}{count:,}"
        for label, count in zip(labels, histogram.counts, strict=True)
    ]


def picture(histogram: Histogram, title: str, axis: str, form: str) -> bytes:
    """Return it as a file of the form `png` or `svg`; `axis` says what the numbers are."""
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)  # it tells of its font cache
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    last = len(histogram.counts) - 1
    stride = -(-len(histogram.counts) // 12)  # labels of five digits have room for twelve
    places = range(0, last + 1, stride)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "text.parse_math": False}):
        figure = Figure(figsize=(9.6, 4.8), layout="tight")
        axes = figure.subplots()
        axes.bar(range(last + 1), histogram.counts, 0.95, align="edge", color="#6b4e9b", zorder=2)
        axes.set_title(title, loc="left")
        axes.set_xlabel(axis)
        axes.set_xlim(0, last + 1)
        axes.set_xticks(places, [histogram.begin(place) for place in places])
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(axis="y", color="#dddde4")
        axes.spines[["top", "left", "right"]].set_visible(False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=form, metadata={"Date": None} if form == "svg" else None)
    return buffer.getvalue()


def _bar(share: float, room: int) -> str:
    """What is there at all shows, if only just."""
    eighths = max(round(share * room * 8), share > 0)
    bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
    return f"{bar} " if bar else ""


def _round_numbers() -> Iterator[int]:
    """Steps that are easily read: 1, 2, 5, 10, 20, and so on without end."""
    for power in count():
        yield from (step * 10**power for step in (1, 2, 5))
