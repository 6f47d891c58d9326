"""A line on stderr that shows how far a long transfer of bytes is.

It does not know what is transferred.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from types import TracebackType
from typing import Final, Self

_PER_SECOND: Final = 8
_SPEED_SECONDS: Final = 5.0
_BAR: Final = 24
_STEPS: Final = 10


class ProgressLine:
    """A bar that is drawn over itself on a terminal; elsewhere, a line for every tenth."""

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
        if self._is_terminal and self._marks:
            self._draw(self._marks[-1][1])
            print(file=sys.stderr)

    def report(self, done: int) -> None:
        """Shows that so many bytes are done, if that is news."""
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
        line = f"{'█' * filled}{'░' * (_BAR - filled)} {self._figures(done)}"
        room = shutil.get_terminal_size().columns - 1
        print(f"\r{line[:room]}\x1b[K", end="", file=sys.stderr, flush=True)

    def _figures(self, done: int) -> str:
        figures = (
            f"{done * 100 // self._total:3} %  {_mebibytes(done)} of {_mebibytes(self._total)}"
        )
        speed = self._speed()
        if not speed:
            return figures
        left = _span((self._total - done) / speed)
        return f"{figures}  {speed / 2**20:,.1f} MiB/s  {left} left"

    def _speed(self) -> float:
        """Bytes a second, lately; 0 if too little is known."""
        (begin, first), (end, last) = self._marks[0], self._marks[-1]
        return (last - first) / (end - begin) if end - begin > 1 / _PER_SECOND else 0.0


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
