"""Where an exception stops: in the widget that raised it, so that the app goes on.

Textual ends with the first one, after it has printed every local variable.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import Any, Final

from textual.events import Compose, Load, Mount
from textual.message import Message
from textual.message_pump import MessagePump

_START: Final = (Load, Compose, Mount)
_SECONDS: Final = 10.0
_MOST: Final = 20


class StartFailed(Exception):
    """The app itself could not be built: there is no screen on which anything could be said."""


def guard_widgets() -> None:
    """Have every widget, screen and app go on with its next message after an exception.

    Else the loop that reads a widget's messages ends, and its keys and buttons are dead.
    """
    plain = MessagePump._dispatch_message
    if getattr(plain, "is_guarded", False):
        return

    async def dispatch(pump: MessagePump, message: Message) -> None:
        try:
            await plain(pump, message)
        except asyncio.CancelledError:
            _go_on_unless_cancelled()
        except Exception as error:
            app: Any = pump.app
            if pump is app and isinstance(message, _START):
                raise StartFailed from error
            app._handle_exception(error)

    flush_plain = MessagePump._flush_next_callbacks

    async def flush(pump: MessagePump) -> None:
        try:
            await flush_plain(pump)
        except asyncio.CancelledError:
            _go_on_unless_cancelled()

    MessagePump._flush_next_callbacks = flush  # type: ignore[assignment,method-assign]
    dispatch.is_guarded = True  # type: ignore[attr-defined]
    MessagePump._dispatch_message = dispatch  # type: ignore[assignment,method-assign]


def _go_on_unless_cancelled() -> None:
    """Raise if it is this task that is to end, not only one that it waited for.

    Textual takes both for the end: the app would be gone without a word.
    """
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise asyncio.CancelledError


class Faults:
    """Whether an app that raises again and again should still go on."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_MOST)

    def are_too_many(self) -> bool:
        """Count one more; True if so many came in so short a time that nobody can go on."""
        now = monotonic()
        self._times.append(now)
        return len(self._times) == _MOST and now - self._times[0] < _SECONDS
