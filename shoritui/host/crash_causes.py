"""Why a process died, in words: from its exit status and the end of its log.

Each answer is the end of a sentence, without its full stop.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from shoritui.text import message

_LONGEST: Final = 160
_LONGEST_LINE: Final = 2000
_FOLDERS: Final = re.compile(r"(?:[A-Za-z]:)?(?:[\\/][^\\/\s:()]+)*[\\/](?=[^\\/\s]+:\d+)")


@dataclass(frozen=True, slots=True)
class Causes:
    """What the ends of one kind of process mean."""

    patterns: tuple[tuple[str, str], ...]
    """Patterns of a log's lines, in any case, and what they tell; `{line}` stands for the line."""
    signals: Mapping[str, str]
    crashed: str
    """For all other signals; `{name}` stands for the signal's."""
    windows: Mapping[int, str] = field(default_factory=dict)
    """By exit status."""
    harmless: str = "(?!)"
    """A pattern of lines that tell nothing."""

    def of_exit(self, status: int, log: str) -> str:
        """Return what probably ended a process."""
        lines = [line for line in map(_plain, log.splitlines()) if _short(line)]
        if status and (known := self._known(lines)):
            return known
        if status < 0:
            return self._signal(-status)
        if named := self.windows.get(status & 0xFFFFFFFF):
            return named
        return _short(lines[-1]) if status and lines else f"exit status {status}"

    def of_text(self, text: str) -> str:
        """Return what a line means, such as an exception's; the line itself if nothing is known."""
        line = _plain(text)
        return self._known([line]) or _short(line)

    def _known(self, lines: Iterable[str]) -> str:
        telling = [line for line in lines if not re.search(self.harmless, line, re.IGNORECASE)]
        return next(self._matches(telling), "")

    def _matches(self, lines: list[str]) -> Iterator[str]:
        for pattern, cause in self.patterns:
            for line in reversed(lines):
                if re.search(pattern, line, re.IGNORECASE):
                    yield cause.format(line=_short(line))

    def _signal(self, number: int) -> str:
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        return self.signals.get(name, self.crashed.format(name=name))


def _plain(line: str) -> str:
    return message(line, _LONGEST_LINE)


def _short(line: str) -> str:
    """The line without folders, and no longer than a reader bears."""
    line = _FOLDERS.sub("", line)
    return (line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…").rstrip(". ")
