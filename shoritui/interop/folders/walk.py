"""Which files of a folder are looked at: nothing outside of it, nothing hidden, no rubbish."""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from shoritui.errors import UserError
from shoritui.folders import cache_dir, config_dir, data_dir, user_path
from shoritui.text import printable

LARGEST: Final = 256 << 20
"""Bytes of a file that can hold anything of ours."""
_DEEPEST: Final = 12
"""Folders below one another."""
_MOST: Final = 100_000
"""Files that are looked at in one import."""
_RUBBISH: Final = {"thumbnails", "backups", "vectors", "node_modules", "__pycache__"}
"""Folders, of SillyTavern and in general, whose files are copies of others or code."""
_EXPORTED: Final = {"ShoriTUI", "SillyTavern"}
"""Folders of which `export_all` writes the same into both."""
_TWICE: Final = {
    *(Path("SillyTavern", name) for name in ("characters", "worlds")),
    *(Path("SillyTavern", name) for name in ("chats", "groups", "group chats", "personas.json")),
    Path("ShoriTUI/presets"),
    Path("ShoriTUI/templates"),
}
"""What is left of them, since the other one has it more fully, or as a file that can be read."""
_SECRETS: Final = "secrets.json"
"""Where SillyTavern keeps the keys of paid services."""
_LONGEST: Final = 65536
"""Characters of a pasted text that may be paths."""
_LONGEST_PATH: Final = 16384
"""Characters of one; systems take 4,096, and in a URL each may be three."""
_MOST_PASTED: Final = 1000
_FIRST: Final = (".toml", ".png", ".jpg", ".jpeg", ".webp", ".charx", ".yaml", ".yml", ".json")
"""Files that may hold cards: they come before the chats, which need them."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file to look at."""

    path: Path
    shown: str
    """Its path from the folder on that was named."""
    size: int
    """Bytes."""
    is_named: bool
    """Whether the user has named the file itself."""


def walk(paths: Sequence[Path]) -> tuple[list[Found], Counter[str]]:
    """Return the files, those first that others build on, and how many were passed over, by why.

    Raises:
        UserError: A path is not there, cannot be read, or has far too many files.
    """
    found: list[Found] = []
    skipped: Counter[str] = Counter()
    for path in map(user_path, paths):
        try:
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                found += _below(_of_interest(path), skipped)
            elif stat.S_ISREG(status.st_mode):
                found.append(Found(path, path.name, status.st_size, is_named=True))
            else:
                raise UserError(f"{printable(path)} is neither a file nor a folder.")
        except OSError as error:
            raise UserError(f"{printable(path)} cannot be read: {error.strerror}.") from None
        if len(found) > _MOST:
            raise UserError(
                f"{printable(path)} has more than {_MOST:,} files: name folders further in."
            )
    # A folder that was named twice is one.
    single = {os.path.realpath(each.path): each for each in found}.values()
    return sorted(single, key=_rank), skipped


def _of_interest(folder: Path) -> Path:
    """Return where the user's files lie, if the folder is that of the whole program."""
    data = folder / "data"
    return data if (data / "default-user").is_dir() else folder


def _below(root: Path, skipped: Counter[str]) -> Iterator[Found]:
    own = {os.path.realpath(folder) for folder in (config_dir(), data_dir(), cache_dir())}
    waiting, is_double = [(root, 0)], False
    count = 0
    while waiting:
        folder, depth = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            skipped["folders that cannot be read"] += 1
            continue
        names = {entry.name for entry in listed}
        cards = {name.lower().removesuffix("toml") for name in names if name.endswith(".toml")}
        is_double = is_double or (folder == root and names >= _EXPORTED)
        for entry in listed:
            if is_double and Path(entry.path).relative_to(root) in _TWICE:
                skipped["what is here twice"] += 1
            elif not entry.name.endswith(".toml") and _belongs(entry.name, cards):
                skipped["what lies beside a card and comes with it"] += 1
            elif why := _why_not(entry):
                skipped[why] += 1
            elif entry.is_dir(follow_symlinks=False):
                if os.path.realpath(entry.path) in own:
                    skipped["folders of ShoriTUI's own"] += 1
                elif depth < _DEEPEST:
                    waiting.append((Path(entry.path), depth + 1))
                else:
                    skipped["folders too deep"] += 1
            else:
                path, size = Path(entry.path), _size(entry)
                yield Found(path, str(path.relative_to(root)), size, is_named=False)
                count += 1
                if count > _MOST:
                    return


def _belongs(name: str, cards: Set[str]) -> bool:
    """Return whether a file lies beside a card of ours, whose name it has."""
    return f"{name.lower().rpartition('.')[0]}." in cards


def _why_not(entry: os.DirEntry[str]) -> str:
    """Return why an entry of a folder is passed over; nothing if it is not."""
    if entry.name.startswith("."):
        return "hidden"
    if entry.is_symlink():
        return "links"
    if entry.is_dir(follow_symlinks=False):
        return "folders of copies and code" if entry.name.lower() in _RUBBISH else ""
    if not entry.is_file(follow_symlinks=False):
        return "special files"
    return "keys of other services" if entry.name == _SECRETS else ""


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def _rank(found: Found) -> tuple[bool, str]:
    shown = "" if found.is_named else found.shown
    return found.path.suffix.lower() not in _FIRST, shown


def pasted_paths(text: str) -> list[Path]:
    """Return the files and folders whose paths a pasted text is; none if it is another text.

    Terminals paste what is dropped on them in quotes, with backslashes before blanks and the
    like, or as URLs; a path that is not whole from the root on is a text.
    """
    text = text.strip()
    if not 2 < len(text) < _LONGEST:
        return []
    if path := _path_of(text):
        return [path]
    words = text.splitlines()
    if len(words) == 1:
        try:
            words = shlex.split(text, posix=sys.platform != "win32")
        except ValueError:
            return []
    found = [path for path in map(_path_of, words[:_MOST_PASTED]) if path]
    return found if 1 < len(words) == len(found) else []


def _path_of(text: str) -> Path | None:
    text = text.strip()
    if not 0 < len(text) <= _LONGEST_PATH or not text.isprintable():
        return None
    for written in dict.fromkeys(_readings(text)):
        if Path(written).is_absolute() or written.startswith("~/"):
            try:
                path = user_path(written)
                if path.is_file() or path.is_dir():
                    return path
            except (OSError, ValueError, UserError):
                continue
    return None


def _readings(text: str) -> Iterator[str]:
    """Yield what may be meant by a pasted path."""
    yield text
    if text[0] == text[-1] and text[0] in "'\"":
        yield text[1:-1].replace("'\\''", "'")
    if text.startswith("file://"):
        parts = urlsplit(text)
        if parts.hostname in (None, "localhost"):
            path = unquote(parts.path)
            yield path.lstrip("/") if sys.platform == "win32" else path
    if sys.platform != "win32":
        yield re.sub(r"\\(.)", r"\1", text)
