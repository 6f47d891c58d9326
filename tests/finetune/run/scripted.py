"""A process that plays a part on a real worker's pipes, where what is tested is who watches it."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

_HEAD = """
import os, signal, sys, threading, time
from shoritui.finetune.events import *
from shoritui.finetune.run.worker import Wire, heed
from shoritui.host.process import take_streams
stop = threading.Event()
asking, events = take_streams()
wire = Wire(events, stop)
heed(stop, asking)
tell = wire.emit
def step(n, tier="low", loss=2.5, steps=9):
    tell(Stepped(tier, n, steps, n / steps, loss, 1e-4, 1.0, 100, 0.5, 2**30, 9.0))
def end(stopped):
    tell(RunEnded(stopped, 1, 0.5, "" if stopped else "adapters/low"))
"""


def scripted(folder: Path, part: str) -> tuple[str, str]:
    """The command that plays the part: Python that tells events."""
    script = folder / "part.py"
    script.write_text(_HEAD + textwrap.dedent(part), encoding="utf-8")
    return sys.executable, str(script)
