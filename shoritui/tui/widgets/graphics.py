"""What the terminal can show pictures with, and how it is asked.

    to the terminal     ESC [ 16 t     ESC [ c           how large is a cell? what can you do?
    from it             ESC [ 6;20;10 t     ESC [ ?62;4;22 c

The answers come among the keys, at any time or never, so nothing waits for them: the parser
(`terminal_input.py`) takes them out of what is typed, and they reach the app as a message. Kitty
and Ghostty are known by their names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from textual.driver import Driver
from textual.message import Message

Way: TypeAlias = Literal["kitty", "sixel", "blocks", "none"]
"""How pictures are drawn: by Kitty's graphics protocol, as Sixel, in half blocks, or not at all."""
Pictures: TypeAlias = Literal["auto", "blocks", "off"]
"""What the user wants of pictures."""

_QUESTIONS: Final = "\x1b[16t\x1b[c"
_CELL: Final = re.compile(r"\x1b\[6;(\d{1,3});(\d{1,3})t")
_ATTRIBUTES: Final = re.compile(r"\x1b\[\?(\d[\d;]*)c")
_SIXEL: Final = "4"
"""The attribute of a terminal that draws Sixel."""
_KITTY: Final = ("xterm-kitty", "xterm-ghostty")
"""The `TERM` of terminals with Kitty's Unicode placeholders, which few others draw."""
_LEAST_CELL, _MOST_CELL = 4, 100
_VT340_CELL: Final = (10, 20)
"""What a terminal with Sixel that does not tell the size of its cells goes by."""


@dataclass(frozen=True, slots=True)
class Graphics:
    """How pictures are drawn, and a cell's width and height in pixels."""

    way: Way = "blocks"
    cell: tuple[int, int] = _VT340_CELL


class TerminalAnswered(Message):
    """The terminal said how large its cells are in pixels, or whether it draws Sixel."""

    key = ""
    """The parser takes it for a key, which it is not."""

    def __init__(self, *, cell: tuple[int, int] | None = None, sixel: bool | None = None) -> None:
        super().__init__()
        self.cell = cell
        self.sixel = sixel


class Answers:
    """What the terminal has said about itself so far."""

    def __init__(self) -> None:
        self._cell = _VT340_CELL
        self._kitty = self._sixel = False

    def ask(self, driver: Driver | None, environ: Mapping[str, str]) -> None:
        """Ask the terminal what it can do, if there is one that can be asked."""
        if driver is not None and _is_terminal(type(driver)):
            self._kitty = environ.get("TERM") in _KITTY
            driver.write(_QUESTIONS)
            driver.flush()

    def take(self, answer: TerminalAnswered) -> None:
        """Remember an answer."""
        if answer.cell is not None:
            self._cell = answer.cell
        if answer.sixel is not None:
            self._sixel = answer.sixel

    def graphics(self, wanted: Pictures, *, no_colour: bool) -> Graphics:
        """Return how pictures are drawn where the user wants this of them."""
        if wanted == "off" or no_colour:
            return Graphics("none", self._cell)
        if wanted == "blocks":
            return Graphics("blocks", self._cell)
        way: Way = "kitty" if self._kitty else "sixel" if self._sixel else "blocks"
        return Graphics(way, self._cell)


def answer_of(sequence: str) -> TerminalAnswered | None:
    """Return the answer that an escape sequence is, None for any other."""
    if found := _ATTRIBUTES.fullmatch(sequence):
        return TerminalAnswered(sixel=_SIXEL in found[1].split(";")[1:])
    if found := _CELL.fullmatch(sequence):
        height, width = (min(_MOST_CELL, max(_LEAST_CELL, int(each))) for each in found.groups())
        return TerminalAnswered(cell=(width, height))
    return None


def _is_terminal(driver: type[Driver]) -> bool:
    return driver.__name__ == "LinuxDriver"  # which does not exist on Windows
