"""From the command to what a person sees: first paint in a real pty, and `--help`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from shoritui.benchmark import Aim, Figure, benchmark
from tests.benchmarks._pty import running, with_byte_code

ROUNDS = 7
BARE = """
from textual.app import App
from textual.widgets import Footer, Static, TextArea

class Bare(App):
    def compose(self):
        yield Static("a bare app")
        yield TextArea()
        yield Footer()

Bare().run()
"""


@benchmark(Aim("first_paint_vs_bare", "ratio", "<= 1.3"))
def first_paint() -> dict[str, Figure]:
    """Ours, with a new home, over a bare Textual app of three widgets."""
    ratios = []
    for _ in range(1 + ROUNDS):
        with tempfile.TemporaryDirectory() as home:
            bare = _painted((sys.executable, "-c", BARE), b"a bare app", home)
            ours = _painted((sys.executable, "-m", "shoritui", "chat"), b"ShoriTUI", home)
        ratios.append(ours / bare)
    return {"first_paint_vs_bare": Figure(ratios[1:])}


@benchmark(Aim("help_ms", "ms", "<= 120"))
def help_time() -> dict[str, Figure]:
    """The time of `shoritui --help`."""
    command = (sys.executable, "-m", "shoritui", "--help")
    return {"help_ms": Figure([1000 * _ended(command) for _ in range(1 + ROUNDS)][1:])}


def _painted(command: Sequence[str], text: bytes, home: str) -> float:
    started = time.perf_counter()
    with running(command, {"SHORITUI_HOME": home}) as terminal:
        terminal.until(text)
        return time.perf_counter() - started


def _ended(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, env=with_byte_code(), check=True)
    return time.perf_counter() - started
