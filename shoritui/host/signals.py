"""What ends an app from outside: signals, the end of its terminal, a clock if it cannot leave."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Final

_STUCK_SECONDS: Final = 2.0
_LOST_SECONDS: Final = 1.5
"""How long keeping everything may take, once the terminal is gone."""
_keep: Callable[[int], None] | None = None
"""Keeps everything before the process ends with an exit code."""


def end_with_terminal() -> None:
    """From now on, end the process once its terminal is gone, whatever it is doing.

    No SIGHUP need tell of that: it may be ignored, or be another session's.
    """
    if hasattr(select, "poll"):
        threading.Thread(target=_watch_terminal, daemon=True).start()


def _watch_terminal() -> None:
    terminal = select.poll()
    for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        assert stream is not None
        terminal.register(stream, 0)  # what is always told: that it hung up
    terminal.poll()
    code = 128 + signal.SIGHUP
    if _keep is not None:
        _keep(code)
    # The screen need not be put back, and trying to may take for ever.
    os._exit(code)


def end_on_signals(end: Callable[[int], None], has_left: threading.Event) -> None:
    """Have SIGTERM, SIGHUP, and the terminal's end call `end`, with the exit code, in this loop.

    The loop's own handlers wait for the loop, which a terminal that takes nothing can hold up for
    ever: where it does, the process ends in two seconds.

    Args:
        end: Makes the loop keep everything and end.
        has_left: Is set once everything is kept.
    """
    global _keep
    loop = asyncio.get_running_loop()

    def on_signal(number: int, _: FrameType | None) -> None:
        stuck = end_in(_STUCK_SECONDS, 128 + number)

        def call() -> None:
            stuck.cancel()
            end(128 + number)

        with suppress(RuntimeError):  # of a loop that has ended
            loop.call_soon_threadsafe(call)

    def keep(code: int) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(end, code)
            has_left.wait(_LOST_SECONDS)

    _keep = keep
    for number in ending_signals():
        if number != signal.SIGINT:
            signal.signal(number, on_signal)


def ending_signals() -> Iterator[signal.Signals]:
    """Yield the signals that ask this process to end; SIGHUP does not under nohup."""
    yield signal.SIGINT
    yield signal.SIGTERM
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield signal.SIGHUP


def end_in(seconds: float, code: int) -> threading.Timer:
    """End the process then, whatever holds up the way out, unless the timer is cancelled."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()
    return timer
