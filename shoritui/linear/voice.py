"""Entries and news as lines, and a reply as sentences: a reader is never given half a word."""

from __future__ import annotations

import re
import sys
from typing import Final

from shoritui.director import kept_end
from shoritui.story import Entry, coming
from shoritui.text import clean, one_line

_SENTENCE: Final = re.compile(
    r"(?<![.!?…。！？])[.!?…。！？]++[\"'”’»」』)*_]*+(?=\s)|[。！？」』]|\n"
)
"""How a sentence ends, with the marks that close it."""
_ENDS: Final = ".!?…。！？」』\n"
_MOST_WAITING: Final = 400
"""So many letters are said at the next blank, be their sentence never so long."""
_LOOKED_BACK: Final = 4000
"""So many letters before what waits are looked at for a loop, which would be cut; so many may wait
for it."""


def told(entry: Entry) -> str:
    """Return an entry as it is read out: its paragraphs are lines, its speaker's name comes first.

    What is no message stands in parentheses.
    """
    text, name = _lines(entry.text), one_line(entry.speaker)
    match entry.kind:
        case "message":
            return f"{name}: {_aside(entry)}{text}"
        case "ooc":
            return f"{name}: (out of character) {text}"
        case "enter" | "leave":
            return f"({one_line(coming(entry))})"
        case "description" | "lore":
            return f"(About {name}: {text})" if name else f"(Lore: {text})"
        case _:
            return f"({entry.kind.capitalize()}: {text})"


def _aside(entry: Entry) -> str:
    heard = entry.details.heard if entry.kind == "message" else None
    names = [one_line(name) for name in heard or () if name != entry.speaker]
    return f"(whispers to {', '.join(names)}) " if names else ""


def _lines(text: str) -> str:
    return "\n".join(line.strip() for line in clean(text).splitlines() if line.strip())


class Voice:
    """Prints lines, each of them at once."""

    def __init__(self) -> None:
        self._written = ""
        self._said = 0
        """How much of the reply being written was read out."""
        self._is_open = False
        """Whether the last line has no end yet."""
        self._is_bare = False
        """Whether nothing but a name stands in it."""

    def line(self, text: str = "") -> None:
        """Print lines."""
        self._close()
        self._put(clean(text) + "\n")

    def news(self, sentence: str) -> None:
        """Print what is not of the story."""
        self.line(f"({clean(sentence).strip()})")

    def entry(self, entry: Entry) -> None:
        """Read an entry out."""
        self.line(told(entry))

    def begin(self, entry: Entry) -> None:
        """A reply begins; where it goes on, what stood there was read out before."""
        self._close()
        self._written, self._said = entry.text, len(entry.text)
        self._put(f"{one_line(entry.speaker)}:")
        if entry.kind == "ooc":
            self._put(" (out of character)")
        elif aside := _aside(entry).strip():
            self._put(f" {aside}")
        self._is_open = self._is_bare = True

    def write(self, piece: str) -> None:
        """Take the next piece of it, and read out what sentences are whole and sure to stay."""
        self._written += piece
        waiting = self._written[self._said :]
        if len(waiting) > _LOOKED_BACK or not any(mark in waiting for mark in _ENDS):
            end = waiting.rfind(" ") if len(waiting) > _MOST_WAITING else 0
        elif any(letter.isspace() for letter in piece):
            begin = max(0, self._said - _LOOKED_BACK)
            sure = waiting[: max(0, begin + kept_end(self._written[begin:]) - self._said)]
            end = max((found.end() for found in _SENTENCE.finditer(sure + " ")), default=0)
            end = min(end, len(sure))
        else:
            return
        if end > 0:
            self._say(waiting[:end])

    def end(self, text: str) -> None:
        """The reply is whole; what was not read out yet, is."""
        self._written = text
        self._say(text[self._said :])
        self._close()

    def break_off(self) -> None:
        """The reply has ended without a word about it."""
        self._close()

    def _say(self, text: str) -> None:
        self._said += len(text)
        for number, line in enumerate(clean(text).split("\n")):
            if number:
                self._close()
            if words := line.strip():
                is_apart = self._is_open and (self._is_bare or line[0].isspace())
                self._put(f" {words}" if is_apart else words)
                self._is_open, self._is_bare = True, False

    def _close(self) -> None:
        if self._is_open:
            self._put("\n")
        self._is_open = False

    @staticmethod
    def _put(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
