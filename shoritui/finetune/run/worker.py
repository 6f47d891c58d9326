"""The process that trains: `python -m shoritui.finetune.run.worker --log FILE CONFIG`.

Events leave on what was standard output, a JSON line each. It saves and ends when standard input
holds a byte or ends, so also when whoever started it is gone. It does not know how training goes.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from shoritui.errors import UserError
from shoritui.finetune.events import Event, Failed, to_json


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains what the command line names; 1 if it failed, which an event then says."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    wire = Wire(take_output(), stop)
    heed(stop)
    os.environ.setdefault("OMP_NUM_THREADS", str(physical_cores()))
    # Threads that spin while they wait take a core from each other as soon as it is shared with
    # anything else: then steps are ten times as slow.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Packs differ in length: memory in fixed pieces would soon be full of gaps.
    os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    try:
        _train(options, wire, stop)
    except UserError as error:
        wire.emit(Failed(str(error)))
        return 1
    except Exception as error:
        from shoritui.finetune.run.causes import cause_of

        traceback.print_exc()
        wire.emit(Failed(f"Training failed: {cause_of(error)}. The log is {options.log}."))
        return 1
    return 0


def _train(options: argparse.Namespace, wire: Wire, stop: threading.Event) -> None:
    from shoritui.finetune.config.choose import chosen

    config = chosen(options)
    from shoritui.finetune.run.metrics import recorded
    from shoritui.finetune.run.training import train

    with recorded(config, wire.emit) as emit:
        train(config, emit, stop.is_set)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shoritui.finetune.run.worker")
    parser.add_argument("--log", required=True, type=Path, help="where standard error goes")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("config", type=Path, nargs="?", default=Path("finetune.toml"))
    return parser


class Wire:
    """Where events leave; once nobody reads them any more, that asks the run to stop."""

    def __init__(self, pipe: BinaryIO, stop: threading.Event) -> None:
        self._pipe = pipe
        self._stop = stop
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        """Sends an event; never fails."""
        line = f"{to_json(event)}\n".encode("ascii")
        try:
            with self._lock:
                self._pipe.write(line)
                self._pipe.flush()
        except OSError:
            self._stop.set()


def take_output() -> BinaryIO:
    """Standard output for events alone; what libraries print goes where standard error goes.

    They print where they like, also past Python: only the descriptors themselves are safe.
    """
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    faulthandler.enable()
    return events


def heed(stop: threading.Event) -> None:
    """Asks the run to stop on a byte or the end of standard input, and when a signal says so."""
    asking = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def wait() -> None:
        with suppress(OSError):
            os.read(asking, 1)
        stop.set()

    threading.Thread(target=wait, name="stop", daemon=True).start()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if number := getattr(signal, name, None):
            signal.signal(number, lambda *_: stop.set())


def physical_cores() -> int:
    """The cores that this process may run on, hyper-threads not counted: more only wait."""
    if not hasattr(os, "sched_getaffinity"):
        return max((os.cpu_count() or 1) // 2, 1)
    return len({_siblings(cpu) for cpu in os.sched_getaffinity(0)})


def _siblings(cpu: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return path.read_text().strip()
    except OSError:
        return str(cpu)


if __name__ == "__main__":
    sys.exit(main())
