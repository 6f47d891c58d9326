"""Bytes of tokens to text: whole characters only, ended by a block mark.

It never waits for bytes that cannot become a character.
"""

from __future__ import annotations

import codecs

from shoritui.engine.sampling_params import MARKS


class Detokenizer:
    """The text of one message while its bytes arrive."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._parts: list[str] = []
        self.ended = False
        """Whether a block mark came, in any number of tokens; it is not part of the text."""

    @property
    def text(self) -> str:
        """Everything so far."""
        return "".join(self._parts)

    @property
    def clean(self) -> bool:
        """Whether no character is left half written."""
        return not self._decoder.getstate()[0]

    def feed(self, piece: bytes) -> str:
        """The new whole characters, up to a block mark."""
        new = self._decoder.decode(piece)
        if not new.isascii():
            for mark in MARKS:
                if mark in new:
                    new = new.partition(mark)[0]
                    self.ended = True
        self._parts.append(new)
        return new

    def back(self, pieces: int) -> None:
        """Only the first so many pieces have come; none of them left a character half written."""
        del self._parts[pieces:]
        self._decoder.reset()
        self.ended = False
