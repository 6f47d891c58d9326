"""Whether a worker still answers once something was cancelled.

It does not know processes: it is told what was sent and heard, and calls back after a silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

HANG_SECONDS: Final = 15.0
"""How long a worker may be silent after a cancel: one step of a slow model takes a few seconds."""


class Watch:
    """Waits for signs of life after a cancel.

    Requests are answered in their order: work that nobody cancelled may take its time first.
    """

    def __init__(self, on_silence: Callable[[], None], seconds: float = HANG_SECONDS) -> None:
        self.seconds: Final = seconds
        self._on_silence = on_silence
        self._in_flight: set[int] = set()
        self._cancelled: set[int] = set()
        self._alarm: asyncio.TimerHandle | None = None

    def sent(self, id_: int) -> None:
        """A request is on its way; later ones have larger numbers."""
        self._in_flight.add(id_)

    def cancelled(self, id_: int) -> None:
        """It shall end early."""
        self._cancelled.add(id_)
        if self._alarm is None:
            self._set()

    def heard(self, id_: int, *, last: bool) -> None:
        """The worker lives: it replied to this request, perhaps for the last time."""
        if last:
            self._in_flight.discard(id_)
        if self._alarm is not None:
            self._set()

    def end(self) -> None:
        """Nothing more is expected."""
        self._in_flight.clear()
        self._set()

    def _set(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._cancelled &= self._in_flight
        if self._cancelled:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(self.seconds, self._silent)

    def _silent(self) -> None:
        if min(self._in_flight) in self._cancelled:
            self.end()
            self._on_silence()
        else:
            self._set()
