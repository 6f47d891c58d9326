"""Writing files so that a reader, or a power cut, finds the old ones or the new, never a part.

It does not know what is in them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    r"""Puts a text (UTF-8, `\n`) in the place of a file, wholly or not at all.

    Missing folders are made; the mode of a file that was there stays.

    Raises:
        OSError: The folder or file cannot be written; what was there is untouched.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            beside.chmod(path.stat().st_mode & 0o7777)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def sync_tree(folder: Path) -> None:
    """Has a folder with all that is in it on the disk, so that it may take another's place.

    Raises:
        OSError: The disk does not take it.
    """
    for path in (*folder.rglob("*"), folder):
        sync(path)


def sync(path: Path) -> None:
    """Has a file, or the names in a folder, on the disk.

    Raises:
        OSError: The disk does not take it.
    """
    if sys.platform == "win32":
        return  # a folder cannot be opened there, nor a file that is only read be forced out
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
