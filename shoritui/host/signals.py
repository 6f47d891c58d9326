"""What ends an app from outside: signals, the end of its terminal, a clock if it cannot leave."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final

_STUCK_SECONDS: Final = 2.0
_last_act: Callable[[int], object] | None = None
"""What is still done once the terminal is gone."""


def end_with_terminal() -> None:
    """From now on, end the process once its terminal is gone, whatever it is doing.

    No SIGHUP need tell of that: it may be ignored, or be another session's.
    """
    if hasattr(select, "poll"):
        threading.Thread(target=_watch_terminal, daemon=True).start()


def before_it_ends_with_terminal(act: Callable[[int], object]) -> None:
    """Have `end_with_terminal` call this first, in its thread, with the exit code."""
    global _last_act
    _last_act = act


def _watch_terminal() -> None:
    assert sys.__stdin__ is not None and sys.__stderr__ is not None
    terminal = select.poll()
    for stream in (sys.__stdin__, sys.__stderr__):  # Textual reads one and paints on the other
        terminal.register(stream, 0)  # what is always told: that it hung up
    terminal.poll()
    code = 128 + signal.SIGHUP
    if _last_act is not None:
        _last_act(code)
    # The screen need not be put back, and trying to may take for ever.
    os._exit(code)


def end_on_signals(end: Callable[[int], None]) -> None:
    """Have SIGTERM and SIGHUP call `end`, with the exit code, in the running event loop.

    The loop's own handlers wait for the loop, which a terminal that takes nothing can hold up for
    ever: where it does, the process ends in two seconds.
    """
    loop = asyncio.get_running_loop()

    def on_signal(number: int, _: FrameType | None) -> None:
        stuck = end_in(_STUCK_SECONDS, 128 + number)

        def call() -> None:
            stuck.cancel()
            end(128 + number)

        with suppress(RuntimeError):  # of a loop that has ended
            loop.call_soon_threadsafe(call)

    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP.
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, on_signal)


def end_in(seconds: float, code: int) -> threading.Timer:
    """End the process then, whatever holds up the way out, unless the timer is cancelled."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()
    return timer
