"""TOML files that people write: reading them, and telling what is wrong in them, and on which line.

It does not know what a file is for; the room that reads it does.
"""

from __future__ import annotations

import difflib
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import tomli

from shoritui import places
from shoritui.blockml import clean
from shoritui.errors import UserError

_LARGEST = 2_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that must change before the file can be used."""

    path: places.Path
    sentence: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file's values, and the lines they stand on."""

    path: Path
    data: dict[str, Any]
    lines: dict[places.Path, int]

    def raise_first(self, problems: Iterable[Problem]) -> None:
        """Tells of the problem that stands first in the file, if there is one.

        Raises:
            UserError: There is one: file, line and sentence.
        """
        placed = [(places.line_of(self.lines, each.path), each.sentence) for each in problems]
        if placed:
            line, sentence = min(placed, key=lambda pair: pair[0])
            more = f" ({len(placed) - 1} more after this one)" if len(placed) > 1 else ""
            raise told(self.path, f"line {line}: {sentence}{more}")


def told(path: Path, sentence: str) -> UserError:
    """The error about a file, on one line and free of control characters."""
    return UserError(" ".join(clean(f"{path}: {sentence}").split()))


def read_text(path: Path, kind: str) -> str:
    """The text of a file of some kind, such as `card`, without a byte order mark.

    Raises:
        UserError: It cannot be read, is no plain file, too large, or not UTF-8.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise told(path, f"this is a folder; name one of the {kind} files in it")
        if not stat.S_ISREG(status.st_mode):
            raise told(path, "this is not a plain file")
        if status.st_size > _LARGEST:
            size = status.st_size / 1_000_000
            raise told(path, f"{size:.1f} MB are too large for a {kind} (at most 2 MB)")
        content = path.read_bytes()
    except FileNotFoundError:
        raise told(path, f"there is no such file{_near(path)}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise told(path, f"the file cannot be read ({reason})") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise told(path, f"line {line}: the file is not UTF-8 text; save it as UTF-8") from error


def parse_text(path: Path, text: str, kind: str) -> Sheet:
    """The values in a text; `path` is only named in errors.

    Raises:
        UserError: It is not TOML.
    """
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        place = f"line {error.lineno}, column {error.colno}"
        raise told(path, f"{place}: this is not TOML ({reason})") from error
    except RecursionError as error:
        raise told(path, f"line 1: lists or tables are nested too deeply for a {kind}") from error
    except ValueError as error:  # a number of thousands of digits
        raise told(path, f"line 1: this is not a {kind} ({error})") from error
    return Sheet(path, data, places.key_lines(text))


def nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """The end of a sentence about an unknown word: the known one it resembles, or all of them."""
    folded = {name.casefold(): name for name in reversed(list(known))}
    close = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f'; did you mean "{folded[close[0]]}"?'
    return f"; {otherwise} {', '.join(reversed(folded.values()))}" if folded else ""


def kind_of(value: object) -> str:
    """The value's kind in the words of TOML, such as `a string`."""
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "a boolean"),
        (str, "a string"),
        (int, "an integer"),
        (float, "a float"),
        (list, "a list"),
        (dict, "a table"),
        ((datetime, date, time), "a date or time"),
    )
    return next(word for kind, word in kinds if isinstance(value, kind))


def _near(path: Path) -> str:
    """The end of a sentence about a missing file: the one beside it that it resembles."""
    beside = [file.name for file in path.parent.glob("*.toml")]
    guess = nearest(path.name, beside, "")
    return guess if guess.endswith("?") else ""
