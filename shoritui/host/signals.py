"""What ends an app from outside: SIGTERM, SIGHUP, and a clock for a way out that is barred."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final

_STUCK_SECONDS: Final = 2.0


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
