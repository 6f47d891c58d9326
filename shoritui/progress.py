"""What one waits for, on stderr: drawn over itself on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from shoritui.errors import UserError
from shoritui.terminal import unfiltered
from shoritui.text import duration, one_line, size

_PER_SECOND: Final = 8
_SPEED_SECONDS: Final = 5.0
_BAR: Final = 24
_STEPS: Final = 10


def show(text: str = "") -> None:
    """Put a text into the place of the last one on a terminal; elsewhere do nothing."""
    if sys.stderr.isatty():
        room = shutil.get_terminal_size().columns - 1
        with suppress(OSError, UserError):
            line = f"\r{one_line(text)[:room]}\x1b[K"
            print(line, end="", file=unfiltered(sys.stderr), flush=True)


class ProgressLine:
    """How far a transfer of bytes is; where there is no terminal, a line for every tenth."""

    def __init__(self, total: int) -> None:
        """`total` in bytes."""
        self._total = max(total, 1)
        self._is_terminal = sys.stderr.isatty()
        self._marks: deque[tuple[float, int]] = deque()
        self._next = 0.0
        self._step = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """Leave the line as it is, and go on below it."""
        if self._is_terminal and self._marks:
            self._draw(self._marks[-1][1])
            print(file=sys.stderr)

    def report(self, done: int) -> None:
        """Show that so many bytes are done, if that is news."""
        now = time.monotonic()
        if self._marks and done < self._marks[-1][1]:
            self._marks.clear()  # it began anew
        self._marks.append((now, done))
        while self._marks[0][0] < now - _SPEED_SECONDS:
            self._marks.popleft()
        if self._is_terminal:
            if now >= self._next or done == self._total:
                self._next = now + 1 / _PER_SECOND
                self._draw(done)
        elif (step := done * _STEPS // self._total) > self._step:
            self._step = step
            print(self._figures(done), file=sys.stderr, flush=True)

    def _draw(self, done: int) -> None:
        filled = min(done * _BAR // self._total, _BAR)
        show(f"{'█' * filled}{'░' * (_BAR - filled)} {self._figures(done)}")

    def _figures(self, done: int) -> str:
        figures = f"{done * 100 // self._total:3} %  {size(done)} of {size(self._total)}"
        speed = self._speed()
        if not speed:
            return figures
        return f"{figures}  {size(speed)}/s  {duration((self._total - done) / speed)} left"

    def _speed(self) -> float:
        """Bytes a second, lately; 0 if too little is known."""
        (begin, first), (end, last) = self._marks[0], self._marks[-1]
        return (last - first) / (end - begin) if end - begin > 1 / _PER_SECOND else 0.0
