"""What worker processes share: their command, environment, streams, and the end of a log."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from typing import BinaryIO, Final

from shoritui.text import printable

_LOG_TAIL: Final = 8000
_PR_SET_PDEATHSIG: Final = 1
WEB_DRIVER: Final = "textual.drivers.web_driver:WebDriver"
"""What the variable TEXTUAL_DRIVER says in a process that paints into a browser."""


def is_in_browser() -> bool:
    """Return whether this process is a window of `shoritui serve`."""
    return os.environ.get("TEXTUAL_DRIVER") == WEB_DRIVER


def is_one_of_many() -> bool:
    """Return whether `torchrun` started this process, perhaps beside others."""
    return "WORLD_SIZE" in os.environ and "RANK" in os.environ


def python_command(module: str) -> tuple[str, ...]:
    """Return the words that run a module of this package in a process of its own.

    -P: a file in the user's current folder must never be taken for one of our libraries.
    """
    return sys.executable or "python3", "-P", "-m", module


def why_not_started(error: OSError) -> str:
    """Return in words why Python could not be started as a process of its own."""
    return (
        f"{printable(error.filename or sys.executable)}: {error.strerror or type(error).__name__}"
    )


def environment() -> dict[str, str]:
    """Return a worker's environment: this package comes first where Python looks."""
    root = str(Path(__file__).parents[2])
    others = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{others}" if others else root}


def take_streams(*, buffering: int = -1) -> tuple[BinaryIO, BinaryIO]:
    """Return standard input and output, which from now on are nothing and standard error.

    Libraries print where they like, also past Python: only the descriptors themselves are safe.
    `buffering` is that of the output.
    """
    stdin = os.fdopen(os.dup(0), "rb")
    stdout = os.fdopen(os.dup(1), "wb", buffering=buffering)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return stdin, stdout


def at_parents_end(number: int) -> None:
    """Have Linux send this process a signal once its parent is gone.

    SIGKILL ends it even while it stands still; SIGCONT lets it see for itself.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def end_if_unheard() -> None:
    """End this process, a worker, if whoever started it is gone already."""
    if hasattr(select, "poll"):
        requests = select.poll()
        requests.register(0, 0)  # what is always told: that nobody can write into it any more
        if requests.poll(0):
            os._exit(1)


def log_tail(log: BinaryIO) -> str:
    """Return the last bytes of a log as text."""
    log.seek(max(log.seek(0, os.SEEK_END) - _LOG_TAIL, 0))
    return log.read().decode("utf-8", "replace")
