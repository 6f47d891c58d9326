"""Which processes that write into a library are alive.

Each holds a lock on a small file of its own beside the library; the lock is SQLite's, so it works
wherever the library does, and a process that dies in any way lets go of it.
"""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path
from typing import Final

_NAME: Final = re.compile("[0-9a-f]{32}")


class Presence:
    """This process's sign of life, from now until `close`.

    Create and `sweep` only inside a write transaction of the library: no other process
    can then mistake a file that is about to be locked for a dead one.
    """

    def __init__(self, library: Path, is_silent: bool = False) -> None:
        """Show it, unless it is to be silent: where nothing can be written, nobody writes."""
        self._stem = library.with_name(f"{library.name}-writer-")
        self.name = os.urandom(16).hex()
        self._connection = None if is_silent else locked(self._file(self.name), create=True)

    def is_alive(self, name: object) -> bool:
        """Return whether the process of that name still holds its lock; of no name, none does."""
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            return False
        file = self._file(name)
        if not file.exists():
            return False
        try:
            locked(file).close()
        except sqlite3.DatabaseError:  # held, or a file of somebody else's, which stays
            return True
        return False

    @classmethod
    def others_alive(cls, library: Path) -> bool:
        """Return whether any process has the library open."""
        stem = f"{library.name}-writer-"
        for file in library.parent.glob(f"{stem}*"):
            try:
                locked(file).close()
            except sqlite3.OperationalError:
                return True
            except sqlite3.DatabaseError:
                continue  # a file of somebody else's
        return False

    def sweep(self) -> None:
        """Remove the files of the dead."""
        for file in self._stem.parent.glob(f"{self._stem.name}*"):
            if not self.is_alive(file.name.removeprefix(self._stem.name)):
                file.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the lock and take the file away."""
        if self._connection is None:
            return
        self._connection.close()
        self._file(self.name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._stem.with_name(f"{self._stem.name}{name}")


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether `locked` found that somebody else holds the lock."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def locked(file: Path, *, create: bool = False) -> sqlite3.Connection:
    """Return a connection that holds the file's lock until it is closed.

    Raises:
        sqlite3.Error: Somebody else holds it, which `is_busy` tells, or it is no such file.
        OSError: It cannot be made.
    """
    if create:
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA journal_mode = MEMORY")  # no second file beside it
        connection.execute("BEGIN EXCLUSIVE")
    except BaseException:
        connection.close()
        raise
    return connection
