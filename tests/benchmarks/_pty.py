"""A program in a pty, seen as bytes: no screen is emulated, so that looking costs nothing."""

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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

_LAST_WORDS = 10_000
"""Bytes of what a program painted last, told if it ends by itself."""


def with_byte_code() -> dict[str, str]:
    """The environment in which Python keeps byte-code, as an installed package has it."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Pty:
    """The program's side of the terminal: keys in, bytes out."""

    def __init__(self, master: int, pid: int) -> None:
        self._master = master
        self.pid = pid
        """The program's process."""
        self.painted = bytearray()
        """All that was read of what it painted."""

    def write(self, text: str) -> None:
        """Presses keys."""
        os.write(self._master, text.encode())

    def until(self, wanted: bytes, seconds: float = 60) -> None:
        """Reads until the output, from now on, holds these bytes."""
        seen = b""
        end = time.monotonic() + seconds
        while wanted not in seen:
            if time.monotonic() > end:
                raise AssertionError(f"{wanted!r} was never painted")
            seen = seen[-len(wanted) :] + self._read(0.5)

    def next(self, seconds: float = 60) -> None:
        """Reads what is painted next."""
        if not self._read(seconds):
            raise AssertionError("nothing was painted")

    def drain(self, seconds: float) -> None:
        """Reads and forgets for this long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._read(left)

    def _read(self, seconds: float) -> bytes:
        ready, _, _ = select.select([self._master], [], [], seconds)
        try:
            found = os.read(self._master, 65536) if ready else b""
        except OSError as error:  # Nobody holds the other side any more.
            last = self.painted[-_LAST_WORDS:].decode(errors="replace")
            raise AssertionError(f"the program ended by itself; its last words: {last}") from error
        self.painted += found
        return found


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str]) -> Iterator[Pty]:
    """Runs a program in a pty of 120 x 40; leaving ends it and its children."""
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**with_byte_code(), **terminal, "TEXTUAL_ANIMATIONS": "none", **env},
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Pty(master, process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(master)
