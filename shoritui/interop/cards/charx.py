"""CharX: a zip archive with `card.json` in it, and the pictures and sounds that the card names.

It may stand behind a picture (PNG, JPEG) in one file, which then shows the character.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shoritui.errors import UserError
from shoritui.files import open_file
from shoritui.text import size

CARD: Final = "card.json"
LARGEST_ARCHIVE: Final = 256 << 20
"""Bytes of an archive."""
LARGEST_FILE: Final = 64 << 20
"""Bytes of a file in one, unpacked."""
_LARGEST_LIST: Final = 1 << 20
"""Bytes of an archive's list of files: some 10,000 of them."""
_END: Final = struct.Struct("<4s4H2LH")
"""What stands at the end of an archive: mark, four counts, the list's size and place, a comment."""
_MARK: Final = b"PK\5\6"
_LARGE_MARK: Final = b"PK\6\7"
_LONGEST_COMMENT: Final = 0xFFFF
_PACKINGS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE: Final = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError),
    *(ValueError, LookupError, OverflowError),
)


def has_archive(path: Path) -> bool:
    """Return whether a file is an archive, or ends in one, with a card in it.

    Raises:
        UserError: It is one that cannot be read.
        OSError: The file cannot be read.
    """
    if not _ends_in_archive(path):
        return False
    with opened(path) as archive:
        return CARD in archive.namelist()


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open the archive in a file; what is wrong with it, also later, is a `UserError`.

    Raises:
        UserError: It is damaged, or too large.
        OSError: The file cannot be read.
    """
    if path.stat().st_size > LARGEST_ARCHIVE:
        raise UserError(f"an archive with a card has at most {size(LARGEST_ARCHIVE)}")
    _check_list(path)
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except UserError:
        raise
    except _DAMAGE:
        raise UserError("the archive is damaged, or locked with a password") from None


def read_entry(archive: zipfile.ZipFile, name: str, most: int = LARGEST_FILE) -> bytes:
    """Return a file in an opened archive.

    Raises:
        UserError: It is larger than `most` bytes, or packed in an unusual way.
    """
    entry = archive.getinfo(name)
    if entry.file_size > most:
        raise UserError(f"{CARD if name == CARD else 'a file'} in it has more than {size(most)}")
    if entry.compress_type not in _PACKINGS:
        raise UserError("the archive is packed in a way that cards are not")
    return archive.read(entry)


def _ends_in_archive(path: Path) -> bool:
    return _MARK in _tail(path)


def _tail(path: Path) -> bytes:
    """Return the last bytes of a file, in which an archive ends."""
    with open_file(path) as file:
        length = file.seek(0, 2)
        file.seek(max(length - _END.size - _LONGEST_COMMENT - 20, 0))
        return file.read()


def _check_list(path: Path) -> None:
    """Refuse an archive whose list of files alone would fill the memory."""
    tail, at = _tail(path), -1
    while (at := tail.find(_MARK, at + 1)) >= 0:
        is_large = tail[max(at - 20, 0) : at][:4] == _LARGE_MARK
        if at + _END.size <= len(tail):
            _, _, _, _, _, listed, _, _ = _END.unpack_from(tail, at)
            is_large = is_large or listed > _LARGEST_LIST
        if is_large:
            raise UserError("the archive has too many files for a card")
