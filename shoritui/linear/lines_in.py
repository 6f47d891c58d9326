"""What is typed, a line at a time: on a terminal with readline, else out of a pipe."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

_MOST: Final = 100_000
"""The most characters of one line; the rest is the next one."""


class LinesIn:
    """Reads lines on a thread of its own, each only once it is asked for."""

    def __init__(self) -> None:
        self.is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        self._asked: asyncio.Queue[str | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._prompt, self._ask = "", threading.Semaphore(0)
        reconfigure = getattr(sys.stdin, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
        if self.is_terminal:
            # Without it, lines are edited with escape codes.
            os.environ["TERM"] = "dumb"
            with suppress(ImportError):
                import readline

                readline.parse_and_bind("set enable-bracketed-paste off")
        threading.Thread(target=self._read, daemon=True).start()

    def remember(self, lines: Sequence[str]) -> None:
        """Take lines of earlier evenings, the newest last, for the arrow keys to bring back."""
        if self.is_terminal:
            with suppress(ImportError):
                import readline

                for line in lines:
                    readline.add_history(line)

    async def next(self, prompt: str) -> str | None:
        """Return the next line, without its end; None at the end of the input."""
        self._prompt = prompt
        self._ask.release()
        return await self._asked.get()

    def _read(self) -> None:
        while True:
            self._ask.acquire()
            try:
                if self.is_terminal:
                    line: str | None = input(self._prompt)
                else:
                    line = sys.stdin.readline(_MOST) or None
            except (EOFError, OSError, ValueError):
                line = None
            with suppress(RuntimeError):  # of a loop that has ended
                self._loop.call_soon_threadsafe(self._asked.put_nowait, line)
            if line is None:
                return
