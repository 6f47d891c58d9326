"""The library's file: opening it, bringing it up to date, transactions, errors as sentences.

It does not know what the tables are for.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shoritui.errors import UserError
from shoritui.story.schema import APPLICATION_ID, STEPS, VERSION

PATIENCE = 5.0
"""Seconds to wait for another process that is writing."""


class Database:
    """One connection, used by one thread at a time.

    Every commit is on the disk when it returns (`synchronous = FULL`): the journal of a
    stream comes once a second, too seldom for a weaker promise to save anything.
    """

    def __init__(self, path: Path) -> None:
        """Opens, creates or migrates the file.

        Raises:
            UserError: It is no library, damaged, newer than this program, or locked.
        """
        self.path = path
        self._turn = threading.Lock()
        with self._told():
            _create_private(path)
            self._connection = sqlite3.connect(
                path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
        try:
            with self._told():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction; what happened in it is kept wholly or not at all."""
        with self._taking_turns(), self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.commit()
            except BaseException:
                self._connection.rollback()
                raise

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of one reading statement."""
        with self._taking_turns(), self._told():
            return self._connection.execute(sql, values).fetchall()

    def close(self) -> None:
        """Closes the connection; the last one out folds the write-ahead log into the file."""
        self._connection.close()

    def _prepare(self) -> None:
        """Nothing is written before the file has proved to be a library that we can read."""
        connection = self._connection
        connection.execute("BEGIN")  # one view of the file, whatever others do meanwhile
        try:
            version = self._known_version()
        finally:
            connection.rollback()
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        if version < VERSION:
            self._migrate()
        self._switch_to_wal()

    def _switch_to_wal(self) -> None:
        """The one statement that SQLite does not make wait for another process by itself."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _known_version(self) -> int:
        """How many steps the file has taken."""
        version = self._pragma("user_version")
        if self._pragma("application_id") != APPLICATION_ID and not self._is_blank():
            raise UserError(
                f"{self.path} is not a ShoriTUI library, so it was left as it is; "
                "move it away to begin a new one."
            )
        if version > VERSION:
            raise UserError(
                f"{self.path} was written by a newer ShoriTUI (format {version}, this one reads "
                f"up to {VERSION}), so it was left as it is; update ShoriTUI to open it."
            )
        return version

    def _is_blank(self) -> bool:
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return tables == 0 and self._pragma("user_version") == 0

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _migrate(self) -> None:
        with self.transaction() as connection:
            # Asked again: another process may have been quicker.
            for step in STEPS[self._known_version() :]:
                for statement in step:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _taking_turns(self) -> Iterator[None]:
        if not self._turn.acquire(blocking=False):
            raise RuntimeError("two threads use one library at the same time")
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what SQLite and the system report into one sentence for the user."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise UserError(_sentence(self.path, error)) from error


def _create_private(path: Path) -> None:
    """An empty file that only its owner may read; SQLite gives its companions the same mode."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def _sentence(path: Path, error: sqlite3.Error | OSError) -> str:
    if isinstance(error, OSError):
        return f"The library {path} cannot be opened ({error.strerror})."
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"The library {path} is locked by another program; close it and try again."
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return (
            f"{path} cannot be read as a ShoriTUI library ({error}); it was left as it is, "
            "move it away to begin a new one."
        )
    if code == sqlite3.SQLITE_FULL:
        return f"The disk is full, so the library {path} cannot grow; make room and try again."
    return f"The library {path} cannot be used ({error})."
