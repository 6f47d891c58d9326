"""What is laid over rows of a story: the cursor's bar, the selection, the chip at the end.

It does not know which rows; it is given strips and gives strips.
"""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from shoritui.tui.inks import Inks

CHIP = " ▼ new "
CHIP_CELLS = len(CHIP) + 1
"""How many cells at the right the chip and its margin take."""
_BAR = "▌"


def with_chip(strip: Strip, width: int, inks: Inks) -> Strip:
    """The row with the chip that leads to the end."""
    start = max(0, width - CHIP_CELLS)
    chip = Strip([Segment(CHIP, inks["chip"])], len(CHIP))
    return Strip.join([strip.crop(0, start), chip, strip.crop(start + len(CHIP))])


def with_bar(strip: Strip, column: int, width: int, inks: Inks) -> Strip:
    """The row with the message cursor's bar in its margin."""
    margin = Strip([Segment(" " * column, inks.base), Segment(_BAR, inks["cursor"])])
    return Strip.join([margin, strip.crop_extend(column + 1, width, inks.base)])


def with_mark(strip: Strip, first: int, last: int, inks: Inks) -> Strip:
    """The row with the cells from `first` to before `last` selected."""
    mark = inks.over("selection")
    chosen = strip.crop(first, last)
    marked = Strip([Segment(text, (style or Style.null()) + mark) for text, style, _ in chosen])
    return Strip.join([strip.crop(0, first), marked, strip.crop(last)])


def centred(lines: list[str], y: int, width: int, height: int, inks: Inks) -> Strip:
    """Row `y` of an empty window with some lines in its middle."""
    index = y - max(0, (height - len(lines)) // 2)
    if not 0 <= index < len(lines):
        return Strip.blank(width, inks.base)
    segment = Segment(lines[index].strip().center(width), inks["empty"])
    return Strip([segment]).crop_extend(0, width, inks.base)
