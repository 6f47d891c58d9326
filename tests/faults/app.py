"""The app, which tells its terminal when it has done all that its keys asked for.

python -m tests.faults.app chat

    a key that is bound to nothing    what it has the app do
    SETTLE                            write HEARD n as the terminal's title once the key has come
                                      through, and SETTLED n once there is nothing left to do
    FAIL                              raise an exception that holds text of the story
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Final

from textual.app import App
from textual.events import Key
from textual.message import Message
from textual.message_pump import MessagePump

from shoritui.cli import main

SETTLE, FAIL = "f13", "f14"
HEARD, SETTLED = "heard", "settled"
SECRET: Final = "what nobody but the reader may see"
"""Text of the story, in the message and the variables of the exception."""
_TURN_SECONDS: Final = 0.02
_QUIET_TURNS: Final = 3
"""In so many looks in a row there has to be nothing to do."""
_PAINT_SECONDS: Final = 2.0
"""How long to wait for a screen to be painted that may be gone by then."""


class Busy:
    """What is under way in the app: messages, calls in other threads, acts of the director."""

    def __init__(self) -> None:
        self._messages = self._calls = 0
        self._asked = 0

    def watch(self) -> None:
        """Count from now on, in every app of this process."""
        plain, loop = MessagePump._dispatch_message, asyncio.BaseEventLoop
        in_thread: Callable[..., Any] = loop.run_in_executor

        async def dispatch(pump: MessagePump, message: Message) -> None:
            if isinstance(pump, App) and isinstance(message, Key):
                if message.key == SETTLE:
                    self._asked += 1
                    self._tell_when_heard(pump, self._asked)
                    return
                if message.key == FAIL:
                    raise KeyError(SECRET)
            self._messages += 1
            try:
                await plain(pump, message)
            finally:
                self._messages -= 1

        def call(*words: Any) -> Any:
            self._calls += 1
            future = in_thread(*words)
            future.add_done_callback(self._ended)
            return future

        MessagePump._dispatch_message = dispatch  # type: ignore[assignment,method-assign]
        loop.run_in_executor = call  # type: ignore[assignment,method-assign]

    def _ended(self, _: object) -> None:
        self._calls -= 1

    def _tell_when_heard(self, app: App[Any], number: int) -> None:
        """A letter comes the same way: through the app to what has the focus."""

        def heard() -> None:
            _tell(app, f"{HEARD} {number}")
            self._task = asyncio.get_running_loop().create_task(self._settle(app, number))

        (app.focused or app.screen).call_later(heard)

    async def _settle(self, app: App[Any], number: int) -> None:
        quiet = 0
        while quiet < _QUIET_TURNS:
            await asyncio.sleep(_TURN_SECONDS)
            quiet = 0 if self._is_at_work(app) else quiet + 1
        painted = asyncio.Event()
        app.call_after_refresh(painted.set)
        await asyncio.wait({asyncio.ensure_future(painted.wait())}, timeout=_PAINT_SECONDS)
        _tell(app, f"{SETTLED} {number}")

    def _is_at_work(self, app: Any) -> bool:
        if self._messages or self._calls or app.performance.is_on:
            return True
        pumps = [app, *(each for screen in app.screen_stack for each in screen.walk_children())]
        return any(pump.message_queue_size or pump._next_callbacks for pump in pumps)


def _tell(app: App[Any], title: str) -> None:
    if app._driver is not None:
        app._driver.write(f"\x1b]2;{title}\x07")
        app._driver.flush()


if __name__ == "__main__":
    Busy().watch()
    raise SystemExit(main(sys.argv[1:]))
