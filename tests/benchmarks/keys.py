"""From a key to its paint, while a reply streams into a long story, in a real pty."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from shoritui.benchmark import Aim, Figure, benchmark
from shoritui.story import Library
from tests.benchmarks._pty import running
from tests.benchmarks._story import write_story

MESSAGES = 10_000
# Letters that nothing else on the screen uses, each typed once.
LETTERS = [
    chr(code) for code in (*range(0x531, 0x557), *range(0x561, 0x587), *range(0x10D0, 0x10F1))
]
STREAM = (sys.executable, "-m", "tests.benchmarks._stream")


@benchmark(Aim("key_to_paint_p50", "ms", "<= 15"), Aim("key_to_paint_p99", "ms", "<= 50"))
def key_to_paint() -> dict[str, Figure]:
    """Keys typed while 200 tokens a second arrive in a story of 10,000 messages."""
    with tempfile.TemporaryDirectory() as home:
        with closing(Library(Path(home) / "data" / "library.db")) as library:
            write_story(library, MESSAGES)
        times = sorted(_times(home))
    quantiles = statistics.quantiles(times, n=100)
    return {
        "key_to_paint_p50": Figure([quantiles[49]]),
        "key_to_paint_p99": Figure([quantiles[98]]),
    }


def _times(home: str) -> list[float]:
    times = []
    with running(STREAM, {"SHORITUI_HOME": home}) as terminal:
        terminal.until(b"streaming")
        terminal.drain(1)
        for letter in LETTERS:
            started = time.perf_counter()
            terminal.write(letter)
            terminal.until(letter.encode())
            times.append(1000 * (time.perf_counter() - started))
            terminal.drain(0.05 + 0.01 * (len(times) % 6))
    return times
