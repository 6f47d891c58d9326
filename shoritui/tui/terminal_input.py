"""What comes from the terminal: keys, pastes, and its answers; any byte may stand in any of them.

ESC [ 200 ~ red ESC [ 31 m text ESC [ 201 ~    one paste, never keys: its text is nobody's act
ESC [ ? 62 ; 4 ; 22 c                          an answer (`widgets/graphics.py`), no key
the byte 0xff                                  U+FFFD, and no end of the app
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

from textual._xterm_parser import XTermParser
from textual.driver import Driver
from textual.events import Key, Paste
from textual.message import Message

from shoritui.tui.widgets.graphics import answer_of

_START: Final = "\x1b[200~"
_END: Final = "\x1b[201~"


def any_input(driver: type[Driver]) -> type[Driver]:
    """Have a driver take whatever its terminal sends, and return it."""
    module = sys.modules[driver.__module__]
    # The driver makes its parser and its decoder itself, in its input thread.
    for name, ours in (("XTermParser", _Parser), ("getincrementaldecoder", _decoder)):
        if hasattr(module, name):
            setattr(module, name, ours)
    return driver


def _decoder(encoding: str) -> Any:
    return partial(codecs.getincrementaldecoder(encoding), "replace")


class _Parser(XTermParser):
    """Textual's reader of keys, which leaves a paste whole and knows the terminal's answers."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._pasted: list[str] | None = None
        """What came so far of a paste that has not ended."""
        self._tail = ""
        """The last characters that came: a mark may come in two parts."""

    def feed(self, data: str) -> Iterable[Message]:
        """Parse what comes next; an empty text is its end."""
        rest = data
        while self._pasted is not None or _START in self._tail + rest:
            if self._pasted is None:
                end = (self._tail + rest).index(_START) + len(_START) - len(self._tail)
                self._pasted, self._tail = [], ""
                yield from super().feed(rest[:end])
                rest = rest[end:]
            text, mark, after = (self._tail + rest).partition(_END)
            if not mark and data:
                at = max(0, len(text) - len(_END) + 1)
                self._pasted.append(text[:at])
                self._tail = text[at:]
                return
            yield Paste("".join([*self._pasted, text]).replace("\0", ""))
            self._pasted, self._tail, rest = None, "", after
            yield from self._ended()
        self._tail = (self._tail + rest)[1 - len(_START) :]
        if rest or not data:
            yield from super().feed(rest)

    def _ended(self) -> Iterator[Message]:
        """Tell Textual of the end of a paste, of which it has seen nothing."""
        return (each for each in super().feed(_END) if not isinstance(each, Paste))

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[Key]:
        answer = answer_of(sequence)
        if answer is None:
            return super()._sequence_to_key_events(sequence, alt)
        return [answer]  # type: ignore[list-item]  # it goes the way of a key, to the app
