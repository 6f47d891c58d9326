"""What it costs that no painted row commands the terminal: painting with the filter and without."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip

from shoritui.benchmark import Aim, Figure, benchmark
from shoritui.tui.literal import WithoutCommands

WIDTH: Final = 100
TIMES: Final = 3_000
TRIES: Final = 7
ROWS: Final = (
    (
        Segment("She looked up from the lamp, and the ", Style(color="white")),
        Segment("harbour", Style(bold=True)),
        Segment(" was quiet. ", Style(color="white")),
        Segment('"Late," she said.', Style(color="cyan")),
    ),
    (Segment("霊夢は「うん」と言った。" * 3, Style(color="white")),),
    (Segment("Bob \x1b[2J" * 8, Style(color="white")),),
)
"""As stories have them, and a hostile one."""


@benchmark(Aim("painted_row_filtered", "x", "<= 2"))
def painted_row() -> dict[str, Figure]:
    """A row that is cut to its width and written with its styles, with the filter and without."""
    console = Console(color_system="truecolor", force_terminal=True)
    _seconds(console, ROWS, WithoutCommands())
    ratios = []
    for _ in range(TRIES):
        without = _seconds(console, ROWS, None)
        ratios.append(_seconds(console, ROWS, WithoutCommands()) / without)
    return {"painted_row_filtered": Figure(ratios)}


def _seconds(
    console: Console, rows: Sequence[Sequence[Segment]], line_filter: WithoutCommands | None
) -> float:
    """Return the processor's seconds of painting these rows many times."""
    began = time.process_time()
    for _ in range(TIMES):
        for row in rows:
            strip = Strip(list(row)).crop_extend(0, WIDTH, Style.null())
            if line_filter is not None:
                strip = strip.apply_filter(line_filter, Color(0, 0, 0))
            strip.render(console)
    return time.process_time() - began
