"""A real terminal to run a program in: keys go in as bytes, text comes out as rows.

What the program draws is painted frame by frame, so that `wait_for` sees every frame, however
many of them a busy machine hands over at once.
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
from pathlib import Path
from types import TracebackType

import pyte

PATIENCE = 90.0
"""Seconds to wait for what a busy machine may take long to show."""
FRAME_END = b"\x1b[?2026l"
"""A program ends each frame like this on a terminal that says it takes whole frames."""
ASKS_FOR_FRAMES, TAKES_FRAMES = b"\x1b[?2026$p", b"\x1b[?2026;2$y"
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
    "alt+up": "\x1b[1;3A",
    "pagedown": "\x1b[6~",
    "f7": "\x1b[18~",
    "f8": "\x1b[19~",
    **{f"ctrl+{letter}": chr(ord(letter) - 96) for letter in "abcdefghijklmnopqrstuvwxyz"},
}


class Terminal:
    """A program in a pty of `columns` x `rows`; leaving it ends the program and its children.

    One that `controls` the program hangs up as a terminal emulator does; SIGHUP is then ignored,
    as under nohup. Of any other, `before` is called in the program's process before it is loaded.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 120,
        rows: int = 40,
        env: Mapping[str, str] | None = None,
        controls: bool = False,
        before: Callable[[], object] | None = None,
    ) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.output = bytearray()
        self._painted = 0
        """How much of the output is on the screen."""
        self._shown: str | None = None
        """The text of what is painted, once it was asked for."""
        self._answered = False
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
            preexec_fn=_under_nohup if controls else before,
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
        _kill_session(self.process.pid)
        self.process.wait()
        if self._master >= 0:
            os.close(self._master)

    @property
    def screen(self) -> pyte.Screen:
        """The screen with all that has been drawn."""
        while self._paint_frame():
            pass
        return self._screen

    def _frame(self) -> str:
        """The text of the frame painted last."""
        if self._shown is None:
            screen = self._screen
            cells = (
                (screen.buffer[row][column].data for column in range(screen.columns))
                for row in range(screen.lines)
            )
            self._shown = "\n".join("".join(row).rstrip() for row in cells)
        return self._shown

    @property
    def text(self) -> str:
        """What the screen shows, a line a row."""
        _ = self.screen
        return self._frame()

    def press(self, *keys: str) -> None:
        """Presses keys by name; a name that is no key's is typed as text."""
        _ = self.screen  # What was drawn before a key is not what it led to.
        for key in keys:
            os.write(self._master, KEYS.get(key, key).encode())
            self.read(0.05)

    def send(self, keys: str | bytes) -> None:
        """Sends what keys send, at once."""
        os.write(self._master, keys if isinstance(keys, bytes) else keys.encode())

    def read(self, seconds: float) -> None:
        """Takes what the program draws for this long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not self._read_once(left):
                return

    def wait_for(self, wanted: str | Callable[[str], bool], seconds: float = PATIENCE) -> None:
        """Waits for the first frame, of those not looked at yet, that holds what is wanted."""
        holds = wanted if callable(wanted) else lambda text: wanted in text
        end = time.monotonic() + seconds
        while not holds(self._frame()):
            if self._paint_frame():
                continue
            if not self._read_once(0.05) or time.monotonic() > end:
                raise AssertionError(f"the screen never showed {wanted!r}:\n{self.text}")

    def wait_for_output(self, wanted: bytes, start: int, seconds: float = PATIENCE) -> None:
        """Waits for bytes in the output, from `start` on, without looking at the screen."""
        end = time.monotonic() + seconds
        while self.output.find(wanted, start) < 0:
            if not self._read_once(0.05) or time.monotonic() > end:
                raise AssertionError(f"{wanted!r} never came:\n{self.text}")

    def wait_until_ended(self, seconds: float = PATIENCE) -> int:
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
        self.screen.resize(rows, columns)  # What was drawn before is on it.
        self._shown = None
        _set_size(self._master, columns, rows)
        os.killpg(self.process.pid, signal.SIGWINCH)

    def hang_up(self) -> None:
        """Takes the terminal away; no signal tells."""
        os.close(self._master)
        self._master = -1

    def _read_once(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return self.process.poll() is None
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.output += data
        if not self._answered and ASKS_FOR_FRAMES in self.output:
            self._answered = True
            os.write(self._master, TAKES_FRAMES)
        return bool(data)

    def _paint_frame(self) -> bool:
        """Paint the next frame that was drawn, or what there is of one; False if that is none."""
        end = self.output.find(FRAME_END, self._painted)
        end = len(self.output) if end < 0 else end + len(FRAME_END)
        self._stream.feed(bytes(self.output[self._painted : end]))
        was, self._painted = self._painted, end
        if end > was:
            self._shown = None
        return end > was


def _under_nohup() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _kill_session(leader: int) -> None:
    """Kills all that runs in a session, in whatever process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(int(folder.name)) == leader:
                os.kill(int(folder.name), signal.SIGKILL)


def _set_size(descriptor: int, columns: int, rows: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
