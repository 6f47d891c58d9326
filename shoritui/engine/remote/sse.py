"""Server-sent events out of bytes, however these are cut.

httpx-sse would not do: its decoder keeps a line that never ends until memory is full, drops an
event at the end of a stream that lacks the empty line after it, and drops the `error:` lines in
which older llama-servers say what went wrong.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 16 * 2**20
"""Bytes without an end of line, above which what comes is no event stream."""

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class NotEvents(ValueError):
    """What comes is no event stream."""


class EventReader:
    """Gathers bytes; gives the data of each event that is whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[str]:
        """The events that these bytes complete; `NotEvents` if a line never ends."""
        self._rest += data
        # A carriage return at the end may be half of a line's end.
        whole = self._rest[:-1] if self._rest.endswith(b"\r") else self._rest
        *lines, rest = _LINE_END.split(whole)
        self._rest = rest + self._rest[len(whole) :]
        if len(self._rest) > LONGEST:
            raise NotEvents
        return [event for line in lines if (event := self._take(line)) is not None]

    def finish(self) -> list[str]:
        """The last event, where the stream ended without the empty line after it."""
        return [
            event for line in (self._rest, b"") if (event := self._take(line.strip())) is not None
        ]

    def _take(self, line: bytes) -> str | None:
        if not line:
            event, self._data = "\n".join(self._data), []
            return event or None
        name, _, value = line.partition(b":")
        if name in (b"data", b"error"):  # Older llama-servers name an error's line `error`.
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
        return None
