"""Read a TOML file that a person wrote: bytes to text, and text to values.

A byte order mark and Windows' line ends are fine; what is no text says what it is:

    mara.png: this is a PNG picture, not a TOML card
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import tomli

from shoritui.errors import UserError
from shoritui.files import is_folder, is_there, open_file
from shoritui.toml.line_numbers import KeyPath, key_lines, line_of, unclosed_line
from shoritui.toml.wording import file_error, nearest

T = TypeVar("T")

LARGEST: Final = 2_000_000
"""Bytes of a file."""
_LONG_NUMBER: Final = re.compile(r"(?<![\d_])[\d_]{4301,}|(?<!\w)0[xob][\da-fA-F_]{1000,}")
"""Python reads no longer one in decimal digits, and writes no other one down that is as long."""
_MOST_BITS: Final = 1000
_BEGINNINGS: Final = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"RIFF": "a WebP picture or a sound",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"GGUF": "a GGUF model",
    b"SQLite format 3\0": "a SQLite database",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that must change before the file can be used."""

    path: KeyPath
    sentence: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file's values, and the text they stand in."""

    path: Path
    data: dict[str, Any]
    text: str

    def line(self, path: KeyPath) -> int:
        """Return the line of a key or an element, or of the nearest thing around it."""
        return line_of(key_lines(self.text), path)

    def raise_first(self, problems: Iterable[Problem]) -> None:
        """Raise the problem that stands first in the file as a `UserError`; count the others."""
        if found := self._placed(problems):
            more = f" ({len(found) - 1} more after this one)" if len(found) > 1 else ""
            raise file_error(self.path, found[0] + more)

    def raise_all(self, problems: Iterable[Problem]) -> None:
        """Raise all problems as one `UserError`, each on a line of its own."""
        if found := self._placed(problems):
            raise UserError("\n".join(str(file_error(self.path, each)) for each in found))

    def _placed(self, problems: Iterable[Problem]) -> list[str]:
        """Return the problems as `line 3: ...`, in the order of the file."""
        found = list(problems)
        lines = key_lines(self.text) if found else {}
        placed = [(line_of(lines, each.path), each.sentence) for each in found]
        return [f"line {n}: {sentence}" for n, sentence in sorted(placed, key=lambda p: p[0])]


def read_sheet(path: Path, kind: str) -> Sheet:
    """Return the values of a TOML file of some kind, such as `card`; `UserError` if it has none."""
    return parse_text(path, read_text(path, kind), kind)


def read_text(path: Path, kind: str, language: str = "TOML") -> str:
    """Return the text of a file of some kind, such as `card`, without a byte order mark.

    `UserError` if it cannot be read, is no plain file, too large, or not UTF-8.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise file_error(path, f"this is a folder, not a {kind}")
        if not stat.S_ISREG(status.st_mode):
            raise file_error(path, "this is not a plain file")
        with open_file(path) as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise file_error(path, f"there is no such file{_near(path)}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise file_error(path, f"the file cannot be read ({reason})") from error
    for beginning, what in _BEGINNINGS.items():
        if content.startswith(beginning):
            raise file_error(path, f"this is {what}, not a {language} {kind}")
    if len(content) > LARGEST:
        size = status.st_size / 1_000_000
        raise file_error(path, f"{size:.1f} MB are too large for a {kind} (at most 2 MB)")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise file_error(path, "line 1: the file is UTF-16 text; save it as UTF-8")
    if b"\0" in content:
        raise file_error(path, f"this is a binary file, not a {language} {kind} in UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise file_error(
            path, f"line {line}: the file is not UTF-8 text; save it as UTF-8"
        ) from error


def parse_text(path: Path, text: str, kind: str) -> Sheet:
    """Return the values in a text; `UserError`, which names `path`, if it is not TOML."""
    try:
        data = tomli.loads(text)
        if _LONG_NUMBER.search(text) and _has_long_number(data):
            raise ValueError
        return Sheet(path, data, text)
    except tomli.TOMLDecodeError as error:
        if text.lstrip().startswith("{"):
            raise file_error(path, f"this is JSON, not a TOML {kind}") from error
        if line := unclosed_line(text, error.pos):
            sentence = f"line {line}: the text that begins here is never closed with its quote mark"
            raise file_error(path, sentence) from error
        reason = error.msg[:1].lower() + error.msg[1:]
        place = f"line {error.lineno}, column {error.colno}"
        raise file_error(path, f"{place}: this is not TOML ({reason})") from error
    except RecursionError as error:
        sentence = f"line 1: lists or tables are nested too deeply for a {kind}"
        raise file_error(path, sentence) from error
    except ValueError:
        number = _LONG_NUMBER.search(text)
        line = text.count("\n", 0, number.start()) + 1 if number else 1
        sentence = f"line {line}: a number has thousands of digits, which no {kind} needs"
        raise file_error(path, sentence) from None


def _has_long_number(data: object) -> bool:
    """Return whether a number is so long that Python would not write it down."""
    rest = [data]
    while rest:
        match rest.pop():
            case dict() as table:
                rest += table.values()
            case list() as items:
                rest += items
            case int() as number if number.bit_length() > _MOST_BITS:
                return True
    return False


def load_all(
    places: Iterable[Path], load: Callable[[Path], T]
) -> tuple[list[tuple[Path, T]], list[str]]:
    """Load the files of some folders, or files; return them and a sentence for each bad one.

    A folder that does not exist holds none.
    """
    found: list[tuple[Path, T]] = []
    problems: list[str] = []
    for place in places:
        try:
            files = toml_files(place) if is_there(place) else []
        except UserError as error:
            problems.append(str(error))
            continue
        for file in files:
            try:
                found.append((file, load(file)))
            except UserError as error:
                problems.append(str(error))
    return found, problems


def toml_files(place: Path) -> list[Path]:
    """Return the file itself, or a folder's TOML files by name; `UserError` if it is unreadable."""
    try:
        if not place.is_dir():
            return [place]
        return sorted(file for file in place.iterdir() if file.suffix.lower() == ".toml")
    except OSError as error:
        raise file_error(place, f"the folder cannot be read ({error.strerror})") from error


def files_named(name: str, folders: Iterable[Path]) -> list[Path]:
    """Return the TOML files of a name, with or without its ending, in some folders."""
    files = [file for folder in folders if is_folder(folder) for file in toml_files(folder)]
    return [file for file in files if name in (file.name, file.stem)]


def _near(path: Path) -> str:
    """Return the end of a sentence about a missing file: the one beside it that it resembles."""
    if not is_folder(path.parent):
        return ""
    return nearest(path.name, [file.name for file in toml_files(path.parent)])
