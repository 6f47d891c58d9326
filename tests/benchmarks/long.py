"""The app with a story of 10,000 messages in a real pty, beside one of 100."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import quantiles

from shoritui.benchmark import Aim, Figure, benchmark
from shoritui.story import Library
from tests.benchmarks._pty import Pty, running
from tests.benchmarks._story import write_story

OPENINGS = 6
KEYS = 40
SECONDS = 4.0
"""How long a stream is watched at a time."""
_APP = (sys.executable, "-m", "tests.benchmarks._stream")
_LAST = {100: "Zwolle", 10_000: "Zyxomma"}
"""With which words the stories end."""


@benchmark(
    Aim("open_10k_ms", "ms", "<= 150"),
    Aim("open_10k_cpu_ms", "ms"),
    Aim("open_100_ms", "ms"),
    Aim("scroll_p50_ms", "ms", "<= 15"),
    Aim("scroll_p99_ms", "ms", "<= 50"),
    Aim("scroll_cpu_10k_100", "ratio", "< 1.3"),
)
def opened() -> dict[str, Figure]:
    """Open both from the list of stories, in turn, and scroll."""
    times: dict[int, list[float]] = {100: [], 10_000: []}
    costs: dict[int, list[float]] = {100: [], 10_000: []}
    scrolls: dict[int, list[float]] = {100: [], 10_000: []}
    scroll_costs: dict[int, list[float]] = {100: [], 10_000: []}
    with _home(100, 10_000) as home, running((*_APP, "still"), {"SHORITUI_HOME": home}) as app:
        app.until(_LAST[10_000].encode())
        app.drain(2)
        for number in range(OPENINGS):
            size = 10_000 if number % 2 else 100
            app.write("\x1b[19~")
            app.until(b"sorted by")
            app.drain(1)
            app.write("\x1b[B")
            app.drain(1)
            milliseconds, processor = _timed(app, "\r", _LAST[size])
            times[size].append(milliseconds)
            costs[size].append(processor)
            app.drain(0.5)
            for _ in range(KEYS):
                milliseconds, processor = _timed(app, "\x1b[1;3A", "")  # alt+up
                scrolls[size].append(milliseconds)
                scroll_costs[size].append(processor)
    return {
        "open_10k_ms": Figure(times[10_000]),
        "open_10k_cpu_ms": Figure(costs[10_000]),
        "open_100_ms": Figure(times[100]),
        "scroll_p50_ms": Figure(scrolls[10_000]),
        "scroll_p99_ms": Figure([quantiles(scrolls[10_000], n=100)[98]]),
        "scroll_cpu_10k_100": Figure(
            [a / b for a, b in zip(scroll_costs[10_000], scroll_costs[100], strict=True)]
        ),
    }


@benchmark(Aim("frame_cpu_10k_100", "ratio", "< 1.3"), Aim("memory_over_text", "ratio", "<= 3"))
def streaming() -> dict[str, Figure]:
    """What the processor does while 200 tokens a second come in; what the memory holds."""
    with _home(100) as short, _home(10_000) as long, _home() as empty:
        rates = []
        with _streaming(short) as one, _streaming(long) as other:
            for _ in range(4):
                rates.append(_rate(other) / _rate(one))
        memory = {}
        for home, seen in ((empty, "Pick a scene"), (long, _LAST[10_000])):
            with running((*_APP, "still"), {"SHORITUI_HOME": home}) as app:
                app.until(seen.encode())
                app.drain(4)
                memory[home] = _resident(app.pid)
        with closing(Library(Path(long) / "data" / "library.db")) as library:
            entries = library.entries(library.summaries()[0].id)
            size = sum(len(entry.text.encode()) for entry in entries)
    note = f"{(memory[long] - memory[empty]) / 1e6:.0f} MB more for {size / 1e6:.0f} MB of text."
    over = (memory[long] - memory[empty]) / size
    return {"frame_cpu_10k_100": Figure(rates), "memory_over_text": Figure([over], note)}


@contextmanager
def _home(*sizes: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as home:
        with closing(Library(Path(home) / "data" / "library.db")) as library:
            for size in sizes:
                write_story(library, size, ends=_LAST[size])
        yield home


@contextmanager
def _streaming(home: str) -> Iterator[Pty]:
    with running(_APP, {"SHORITUI_HOME": home}) as app:
        app.until(b"streaming")
        app.drain(2)
        yield app


def _timed(app: Pty, key: str, seen: str) -> tuple[float, float]:
    """Milliseconds, and those of the processor, from a key until something is painted."""
    cost, started = _processor(app.pid), time.perf_counter()
    app.write(key)
    app.until(seen.encode()) if seen else app.next()
    milliseconds = 1000 * (time.perf_counter() - started)
    processor = _processor(app.pid) - cost
    if not seen:
        app.drain(0.1)
        processor = _processor(app.pid) - cost
    return milliseconds, 1000 * processor


def _rate(app: Pty) -> float:
    """Seconds of the processor a second."""
    cost, started = _processor(app.pid), time.perf_counter()
    app.drain(SECONDS)
    return (_processor(app.pid) - cost) / (time.perf_counter() - started)


def _processor(pid: int) -> float:
    """Seconds of the processor that a process has had."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
