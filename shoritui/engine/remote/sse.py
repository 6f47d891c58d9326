"""Server-sent events out of bytes, however these are cut.

httpx-sse would not do: its decoder keeps a line that never ends until memory is full, drops an
event at the end of a stream that lacks the empty line after it, and drops the `error:` lines in
which older llama-servers say what went wrong.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 1 << 20
"""Bytes of one event, above which what comes is no event stream."""

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class NotEvents(ValueError):
    """What comes is no event stream."""


class EventReader:
    """Gathers bytes; gives the data of each event that is whole. No byte is looked at twice."""

    def __init__(self) -> None:
        self._line: list[bytes] = []
        """The pieces of a line whose end has not come."""
        self._pending = 0
        """Bytes of these."""
        self._held = b""
        """A carriage return, which may be half of a line's end."""
        self._data: list[str] = []
        self._size = 0
        """Bytes of these."""

    def feed(self, data: bytes) -> list[str]:
        """The events that these bytes complete; `NotEvents` if one never ends."""
        data = self._held + data
        self._held = data[-1:] if data.endswith(b"\r") else b""
        pieces = _LINE_END.split(data.removesuffix(self._held))
        found = []
        for piece in pieces[:-1]:
            found.append(self._take(b"".join((*self._line, piece))))
            self._line, self._pending = [], 0
        self._line.append(pieces[-1])
        self._pending += len(pieces[-1])
        if self._pending + self._size > LONGEST:
            raise NotEvents
        return [event for event in found if event]

    def finish(self) -> list[str]:
        """The last event, where the stream ended without the empty line after it."""
        found = [self._take(b"".join(self._line).strip()), self._take(b"")]
        return [event for event in found if event]

    def _take(self, line: bytes) -> str | None:
        """Take a whole line; return the data of the event that it ends."""
        if not line:
            event, self._data, self._size = "\n".join(self._data), [], 0
            return event or None
        name, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
        if name in (b"data", b"error"):  # Older llama-servers name an error's line `error`.
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
            self._size += len(value) + 1
        return None
