"""What may happen to a library under an open app, each brought about for real."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from shoritui.story import Library
from tests.e2e.terminal import Terminal

Evil = Callable[[Path], AbstractContextManager[None]]
"""Takes the app's home and lasts as long as the block."""


def library_of(home: Path) -> Path:
    """The library's file."""
    return home / "data" / "library.db"


@contextmanager
def small_disk(mebibytes: int = 48) -> Iterator[Path]:
    """A folder with a disk of its own where root is given; else one like any other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=700", "tmpfs", name]
        done = subprocess.run(mount, capture_output=True, check=False)
        try:
            yield folder
        finally:
            if done.returncode == 0:
                subprocess.run(["umount", "-l", name], check=True)


def has_own_disk(home: Path) -> bool:
    """Whether the home's disk can be filled without harm."""
    while not home.is_mount() and home != home.parent:
        home = home.parent
    return home != home.parent and shutil.disk_usage(home).total < 2**28


@contextmanager
def full(home: Path) -> Iterator[None]:
    """Not a byte is left on the disk."""
    ballast = home / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        size = 2**20
        while size:
            try:
                file.write(os.urandom(size))
            except OSError:
                size //= 2
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Another program holds the library and does not let go."""
    with closing(sqlite3.connect(library_of(home), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def deleted(home: Path) -> Iterator[None]:
    """The story is deleted for good in another window."""
    with closing(Library(library_of(home))) as library:
        chat = library.last_chat()
        assert chat is not None
    with closing(sqlite3.connect(library_of(home))) as other, other:
        other.execute("PRAGMA foreign_keys = ON")
        other.execute("DELETE FROM chats WHERE id = ?", (chat.id,))
    yield


@contextmanager
def gone(home: Path) -> Iterator[None]:
    """The library's folder is moved away, as when a stick is pulled out."""
    away = home / "data-gone"
    (home / "data").rename(away)
    try:
        yield
    finally:
        if (home / "data").exists():
            shutil.rmtree(home / "data")
        away.rename(home / "data")


@contextmanager
def two_apps(home: Path) -> Iterator[None]:
    """The same story is open in a second window, which writes into it."""
    from tests.faults.play import app_in

    with app_in(home) as other:
        other.press("Somebody else says this.", "enter")
        yield
        assert isinstance(other, Terminal)
        assert other.process.poll() is None, "the other window ended"


EVILS: Final[dict[str, Evil]] = {
    "full": full,
    "locked": locked,
    "deleted": deleted,
    "gone": gone,
    "two-apps": two_apps,
}
NEEDS_DISK: Final = ("full",)
