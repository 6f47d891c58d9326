"""The records of a file, one after the other: a line or an element of JSON, or the whole text.

Of a file of any size only one record is in memory, and one that nobody could train on is refused.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from shoritui.bounded import DECODER, Malformed, TooDeep, check_depth, has_halves, read_json
from shoritui.files import content_of, open_file
from shoritui.interop.datasets.model import Unusable
from shoritui.text import message, size

LARGEST: Final = 64 << 20
"""Bytes of one conversation."""
_LARGEST_TEXT: Final = 512 << 20
"""Bytes of a text, which is read as a whole."""
_CHUNK: Final = 1 << 16
_BEGINNING: Final = 1 << 20
"""Bytes by which a format is told; a chat's first line may hold its whole scene."""
_GAPS: Final = " \t\n\r"
_ENCODING: Final = "it is not UTF-8 text: save it as UTF-8"
_LOST: Final = "there are NUL characters where text was lost: bring back the file, or take them out"
"""What a crash or a full disk leaves of what was being written."""
EMPTY: Final = "there is nothing in it to learn from: bring back the file, or take it out"
"""What is wrong with a file without records."""


def beginning(path: Path) -> str:
    """Return the first characters of a file, as far as they are text.

    Raises:
        Unusable: It cannot be read.
    """
    try:
        with open_file(path) as file:
            start = file.read(_BEGINNING)
    except OSError as error:
        raise Unusable(0, f"it cannot be read: {error.strerror}") from None
    return start.decode("utf-8-sig", "replace")


def text_of(path: Path) -> str:
    """Return the text of a file, its line ends as `\\n`.

    Raises:
        Unusable: It cannot be read, is too large, is no text in UTF-8, or has NUL characters.
    """
    try:
        if path.stat().st_size > _LARGEST_TEXT:
            raise Unusable(0, f"this text has more than {size(_LARGEST_TEXT)}: split it")
        content = content_of(path)
    except OSError as error:
        raise Unusable(0, f"it cannot be read: {error.strerror}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unusable(content.count(b"\n", 0, error.start) + 1, _ENCODING) from None
    if (at := text.find("\0")) >= 0:
        raise Unusable(text.count("\n", 0, at) + 1, _LOST)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def lines_of(path: Path) -> Iterator[tuple[int, object]]:
    """Yield what stands on each line of JSON Lines, or what is wrong with it, and the line."""
    with open_file(path) as file:
        number = 0
        while line := file.readline(LARGEST + 1):
            number += 1
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if len(line) > LARGEST:
                yield number, Unusable(number, f"this line has more than {size(LARGEST)}")
                return
            if line.strip():
                yield number, _of_line(line, number)


def _of_line(line: bytes, number: int) -> object:
    try:
        value = msgspec.json.decode(line)
        check_depth(value, line.count(b"[") + line.count(b"{"))
        return value
    except TooDeep as error:
        return Unusable(number, error.sentence)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _of_odd_line(line, number)


def _of_odd_line(line: bytes, number: int) -> object:
    """Return what stands on a line that msgspec does not read: it may be JSON all the same."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return Unusable(number, _ENCODING)
    try:
        return read_json(text)
    except Malformed as error:
        return Unusable(number, _LOST if "\0" in text else error.sentence)


def elements_of(path: Path) -> Iterator[tuple[int, object]]:
    """Yield the elements of a JSON array (or one object), or what is wrong, each with its line."""
    with open_file(path) as file:
        yield from _Elements(file).read()


class _Elements:
    """Reads a document as far as the next element needs it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._line = 1
        self._is_whole, self._is_text = False, True

    def read(self) -> Iterator[tuple[int, object]]:
        try:
            if self._next() != "[":
                yield self._line, self._value()
                if rest := self._next():
                    raise Unusable(self._line, f"expected the end of the file, not {rest!r}")
                return
            self._at += 1
            while (here := self._next()) != "]":
                if not here:
                    raise Unusable(self._line, "the file ends within its list: expected ]")
                yield self._line, self._value()
                if self._next() not in (",", "]"):
                    raise Unusable(self._line, "expected , or ] after this element")
                self._at += self._next() == ","
            self._at += 1
            if rest := self._next():
                raise Unusable(self._line, f"expected the end of the file, not {rest!r}")
        except Unusable as told:
            line = self._line + self._text.count("\n", self._at)
            error = told if self._is_text else Unusable(line, _ENCODING)
            yield error.line, error

    def _next(self) -> str:
        """Go to the next character that is no gap, and return it; nothing at the end."""
        while True:
            end = self._at
            while end < len(self._text) and self._text[end] in _GAPS:
                end += 1
            self._line += self._text.count("\n", self._at, end)
            self._at = end
            if end < len(self._text):
                return self._text[end]
            if self._is_whole:
                return ""
            self._text, self._at = "", 0
            self._fill(_CHUNK)

    def _value(self) -> object:
        """Return the value that begins here."""
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._at)
                if has_halves(self._text, self._at, end):
                    value = read_json(self._text[self._at : end])
                opened = (self._text.count(mark, self._at, end) for mark in "[{")
                check_depth(value, sum(opened))
            except RecursionError:
                raise Unusable(self._line, "this is nested too deeply") from None
            except TooDeep as error:
                raise Unusable(self._line, error.sentence) from None
            except ValueError as error:
                # Only the whole of it can tell whether it is wrong or goes on.
                rest = len(self._text) - self._at
                if not self._is_whole and rest <= LARGEST:
                    self._text, self._at = self._text[self._at :], 0
                    self._fill(max(_CHUNK, rest))
                    continue
                at = getattr(error, "pos", 0)
                line = self._line + self._text.count("\n", self._at, at)
                is_lost = self._text[at : at + 1] == "\0"
                sentence = _LOST if is_lost else f"this is not JSON ({message(error)})"
                raise Unusable(line, sentence) from None
            self._line += self._text.count("\n", self._at, end)
            self._at = end
            return value

    def _fill(self, count: int) -> None:
        content = self._file.read(count)
        self._is_whole = len(content) < count
        try:
            self._text += self._decoder.decode(content, self._is_whole)
        except UnicodeDecodeError as error:
            # What stands before it is read all the same.
            self._text += error.object[: error.start].decode("utf-8-sig")
            self._is_whole, self._is_text = True, False
