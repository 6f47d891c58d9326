"""The app, with a record of what held up its keys: `python -m tests.faults.app RECORD`."""

from __future__ import annotations

import os
import sys
import time
import traceback
from typing import Any

from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump

from shoritui.cli import main
from shoritui.story.database import PATIENCE
from shoritui.tui.boundary import guard_widgets

SLOW = PATIENCE + 3
"""Seconds that a widget may be busy with one message: an act may wait for a locked library."""


def record(path: str) -> None:
    """Write down every message that a widget was busy with for long."""
    guard_widgets()
    guarded = MessagePump._dispatch_message
    file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    async def dispatch(pump: MessagePump, message: Message) -> None:
        begun = time.monotonic()
        await guarded(pump, message)
        if (passed := time.monotonic() - begun) > SLOW:
            line = f"{passed:.1f} s in {type(pump).__name__} with {type(message).__name__}\n"
            os.write(file, line.encode())

    end = App.exit

    def told(app: App[Any], *words: Any, **named: Any) -> None:
        calls = " < ".join(each.name for each in traceback.extract_stack()[-2:-12:-1])
        os.write(file, f"the app was told to end: {calls}\n".encode())
        end(app, *words, **named)

    App.exit = told  # type: ignore[assignment,method-assign]
    dispatch.is_guarded = True  # type: ignore[attr-defined]
    MessagePump._dispatch_message = dispatch  # type: ignore[assignment,method-assign]


if __name__ == "__main__":
    record(sys.argv[1])
    raise SystemExit(main(["chat"]))
