"""A real terminal to run a program in: a pty, and a screen that understands what it draws.

It knows nothing of the program; keys go in as bytes, text comes out as rows.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import pyte

KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "backspace": "\x7f",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "f1": "\x1bOP",
    "f2": "\x1bOQ",
    "f3": "\x1bOR",
    "f4": "\x1bOS",
    "f8": "\x1b[19~",
    **{f"ctrl+{letter}": chr(ord(letter) - 96) for letter in "abcdefghijklmnopqrstuvwxyz"},
}


class Terminal:
    """A program in a pty of `columns` x `rows`; leaving it ends the program and its children."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 120,
        rows: int = 40,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.output = bytearray()
        master, slave = pty.openpty()
        self._master = master
        _set_size(master, columns, rows)
        terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, **terminal, **(env or {})},
            start_new_session=True,
            close_fds=True,
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._master)

    @property
    def text(self) -> str:
        """What the screen shows, a line a row."""
        return "\n".join(row.rstrip() for row in self.screen.display)

    def press(self, *keys: str) -> None:
        """Presses keys by name; a name that is no key's is typed as text."""
        for key in keys:
            os.write(self._master, KEYS.get(key, key).encode())
            self.read(0.05)

    def read(self, seconds: float) -> None:
        """Takes what the program draws for this long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not self._read_once(left):
                return

    def wait_for(self, wanted: str | Callable[[str], bool], seconds: float = 20) -> str:
        """The screen's text as soon as it holds what is wanted; fails after `seconds`."""
        holds = wanted if callable(wanted) else lambda text: wanted in text
        end = time.monotonic() + seconds
        while not holds(self.text):
            if time.monotonic() > end:
                raise AssertionError(f"the screen never showed {wanted!r}:\n{self.text}")
            self._read_once(0.05)
        return self.text

    def wait_until_ended(self, seconds: float = 10) -> int:
        """The program's exit code once it has ended by itself."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            if time.monotonic() > end:
                raise AssertionError(f"the program did not end:\n{self.text}")
            self._read_once(0.05)
        self.read(0.1)
        return self.process.returncode

    def resize(self, columns: int, rows: int) -> None:
        """Gives the terminal another size, and tells the program."""
        self.screen.resize(rows, columns)
        _set_size(self._master, columns, rows)
        os.killpg(self.process.pid, signal.SIGWINCH)

    def _read_once(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return self.process.poll() is None
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.output += data
        self._stream.feed(data)
        return bool(data)


def _set_size(descriptor: int, columns: int, rows: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
