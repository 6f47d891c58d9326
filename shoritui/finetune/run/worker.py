"""The process that trains: `python -m shoritui.finetune.run.worker --log FILE CONFIG`.

Events leave on what was standard output, a JSON line each. It saves and ends when standard input
holds a byte or ends, so also when whoever started it is gone; with nothing to save, at once.
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
from shoritui.finetune.events import Event, Failed, Stepped, to_json
from shoritui.host.machine import usable_cores
from shoritui.host.process import at_parents_end, take_streams


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what the command line names; 1 if it failed, which an event then says."""
    options = _parser().parse_args(arguments)
    at_parents_end(getattr(signal, "SIGKILL", 0))  # libraries that are loaded heed nobody
    stop = threading.Event()
    asking, events = take_streams()
    faulthandler.enable()
    wire = Wire(events, stop)
    heed(stop, asking)
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))
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
        from shoritui.finetune.run.crash_causes import cause_of

        traceback.print_exc()
        wire.emit(Failed(f"Training failed: {cause_of(error)}. The log is {options.log}."))
        return 1
    return 0


def _train(options: argparse.Namespace, wire: Wire, stop: threading.Event) -> None:
    from shoritui.finetune.config.load import chosen

    config = chosen(options)
    from shoritui.finetune.run.metrics import recorded
    from shoritui.finetune.run.train import train

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
        self._has_stepped = False
        self._pipe = pipe
        self._stop = stop
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        """Send an event; never fails."""
        if isinstance(event, Stepped) and not self._has_stepped:
            self._has_stepped = True
            at_parents_end(getattr(signal, "SIGCONT", 0))  # there is something to save
        line = f"{to_json(event)}\n".encode("ascii")
        try:
            with self._lock:
                self._pipe.write(line)
                self._pipe.flush()
        except OSError:
            self._stop.set()


def heed(stop: threading.Event, asking: BinaryIO) -> None:
    """Ask the run to stop on a byte or the end of `asking`, and when a signal says so."""

    def wait() -> None:
        with suppress(OSError):
            os.read(asking.fileno(), 1)
        stop.set()

    threading.Thread(target=wait, name="stop", daemon=True).start()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if number := getattr(signal, name, None):
            signal.signal(number, lambda *_: stop.set())


if __name__ == "__main__":
    sys.exit(main())
