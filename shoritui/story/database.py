"""The library's file: opening it, bringing it up to date, transactions, errors as sentences."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shoritui.errors import UserError
from shoritui.story import search_index
from shoritui.story.migrations import APPLICATION_ID, MIGRATIONS, VERSION

HEADER = 100
"""Bytes with which SQLite's files begin."""
PATIENCE = 5.0
"""Seconds to wait for another process that is writing."""
_ADVICE = "`shoritui chats restore` lists the backups."
MENDED = "The library's search index was damaged and has been made anew."


class Damaged(UserError):
    """Something stored cannot be what a library wrote; everything else can still be read."""


class Database:
    """One connection, used by one thread at a time.

    Every commit is on the disk when it returns (`synchronous = FULL`): the journal of a
    stream comes a few times a second, too seldom for a weaker promise to save anything.
    """

    def __init__(self, path: Path, before_update: Callable[[Path], object]) -> None:
        """Open, create or migrate the file; `before_update` is called before it is migrated.

        On a disk where nothing can be written it is opened to be read.

        Raises:
            UserError: It is no library, damaged, newer than this program, or locked.
        """
        self.path = path
        self.times_replaced = 0
        """How often another program has put another file into this one's place."""
        self._file: tuple[int, int] | None = None
        """Which file is open."""
        self._companions: dict[Path, tuple[int, int]] = {}
        """Which log and index belong to it."""
        self._before_update = before_update
        self._turn = threading.Lock()
        self._open()

    def _open(self) -> None:
        path = self.path
        with said(path):
            _expect_filled(path)
            create_private(path)
            self.is_read_only = _is_read_only(path)
            self._file = _file_at(path)
            # Where nothing can be written there can be no lock either, and nobody who writes.
            how = "?mode=ro&immutable=1" if self.is_read_only else "?mode=rw"
            self._connection = sqlite3.connect(
                path.absolute().as_uri() + how,
                uri=True,
                timeout=PATIENCE,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            with said(self.path):
                self._prepare()
        except BaseException:
            self._connection.close()
            self._file = None
            raise
        beside = [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm")]
        self._companions = {each: _file_at(each) for each in beside if each.exists()}

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a write transaction; what happened in it is kept wholly or not at all."""
        with self._taking_turns(), said(self.path):
            self._insist("BEGIN" if self.is_read_only else "BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.commit()
            except BaseException as error:
                self._connection.rollback()
                if not self.is_read_only and search_index.is_about_it(error):
                    self._mend_index()
                    raise UserError(f"{MENDED} Try that again.") from error
                raise

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of one reading statement; see `fetch`."""
        with self._taking_turns(), said(self.path):
            try:
                return fetch(self._connection, sql, *values)
            except sqlite3.Error as error:
                if self.is_read_only or not search_index.is_about_it(error):
                    raise
                self._mend_index()
                return fetch(self._connection, sql, *values)

    def mend_index(self) -> None:
        """Make the search index anew, where anything can be written."""
        if not self.is_read_only:
            with self._taking_turns(), said(self.path):
                self._mend_index()

    def close(self) -> None:
        """Close the connection; the last one out folds the write-ahead log into the file."""
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
            if version:
                self._before_update(self.path)
            self._migrate()
        if not self.is_read_only:
            self._insist("PRAGMA journal_mode = WAL")
        self.rows("SELECT rowid FROM words LIMIT 0")  # where it cannot be opened it is made anew

    def _insist(self, statement: str) -> None:
        """Run a statement that needs the file for itself, however often another process has it.

        SQLite waits longer and longer between two tries (and for some statements not at all), so
        whoever writes on and on would keep us out.
        """
        deadline = time.monotonic() + PATIENCE
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    self._connection.execute(statement)
                    return
                except sqlite3.OperationalError as error:
                    is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                    if not is_busy or time.monotonic() > deadline:
                        raise
                    time.sleep(0.002)
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {1000 * PATIENCE:.0f}")

    def _mend_index(self) -> None:
        self._insist("BEGIN IMMEDIATE")
        try:
            search_index.make_anew(self._connection)
            self._connection.commit()
        except BaseException:
            self._connection.rollback()
            raise

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
            for step in MIGRATIONS[self._known_version() :]:
                for statement in step:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")

    def _follow_file(self) -> None:
        """Open the file that another program has put into this one's place, and raise.

        What would be written into the old one, which nobody finds any more, would be lost.
        """
        with said(self.path):
            if _file_at(self.path) == self._file:
                return
            if self._file is not None:
                self._leave_file()
        self._open()
        self.times_replaced += 1
        raise UserError(
            f"Another program has put another library in the place of {self.path}: "
            "from now on that one is read and written. Try again."
        )

    def _leave_file(self) -> None:
        """Close a file that lies elsewhere by now; its log and index are none of the new one's."""
        [is_busy, *_] = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            raise sqlite3.OperationalError("another program reads what was there before")
        self._connection.close()
        self._file = None
        for companion, file in self._companions.items():
            if companion.exists() and _file_at(companion) == file:
                companion.unlink()

    @contextmanager
    def _taking_turns(self) -> Iterator[None]:
        self._follow_file()
        if not self._turn.acquire(blocking=False):
            raise RuntimeError("two threads use one library at the same time")
        try:
            yield
        finally:
            self._turn.release()


def fetch(db: sqlite3.Connection, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of one reading statement; a text that is no UTF-8 comes as its bytes."""
    try:
        return db.execute(sql, values).fetchall()
    except sqlite3.OperationalError as error:
        if not _is_no_text(error):
            raise
    db.text_factory = _text_or_bytes
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.text_factory = str


def _text_or_bytes(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _is_no_text(error: sqlite3.Error | OSError) -> bool:
    """Return whether Python could not decode a text that SQLite gave; its message has the text."""
    is_pythons = getattr(error, "sqlite_errorcode", None) is None
    return isinstance(error, sqlite3.OperationalError) and is_pythons


@contextmanager
def said(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system report of a file into one sentence for the user."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        is_damage = _code(error) == sqlite3.SQLITE_CORRUPT or _is_no_text(error)
        raise (Damaged if is_damage else UserError)(_sentence(path, error)) from error
    except UnicodeDecodeError:  # in SQLite's own message, which quotes what is damaged
        undecoded = sqlite3.OperationalError()
        raise Damaged(_sentence(path, undecoded)) from undecoded


def private_folder(path: Path) -> None:
    """Make a folder, and those above it, that only the user may look into."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)


def create_private(path: Path) -> None:
    """Make an empty file that only the user may read; SQLite's companions get the same mode."""
    private_folder(path.parent)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def _file_at(path: Path) -> tuple[int, int]:
    """Return which file is there, by its disk and its number on it."""
    state = path.stat()
    return state.st_dev, state.st_ino


def _is_read_only(path: Path) -> bool:
    """Return whether the disk takes nothing, and all of the library is in the one file."""
    try:
        is_read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except (AttributeError, OSError):  # Windows has no such call
        return False
    log = path.with_name(path.name + "-wal")
    return is_read_only and not (log.exists() and log.stat().st_size)


def _expect_filled(path: Path) -> None:
    """Raise unless the file is new or has a header: SQLite takes an empty one as a new library.

    What was a library has copies beside it.
    """
    copies = (path.parent / "backups").glob(f"{path.stem}-*.db")
    if path.is_file() and path.stat().st_size < HEADER and any(copies):
        raise UserError(
            f"The library {path} is empty, so it was left as it is: `shoritui chats restore` "
            "lists the backups; move the file away to begin a new library."
        )


def _code(error: sqlite3.Error | OSError) -> int:
    """Return SQLite's primary result code; 0 if it is none of its errors."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _sentence(path: Path, error: sqlite3.Error | OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return (
            f"The library {path} is not there any more: was its folder moved, or its disk taken "
            "away? What is written is kept once it is back."
        )
    if isinstance(error, OSError):
        return f"The library {path} cannot be opened ({error.strerror})."
    code = _code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"The library {path} is locked by another program; close it and try again."
    if _is_no_text(error):
        return f"The library {path} is damaged: a text in it is not UTF-8. {_ADVICE}"
    if code == sqlite3.SQLITE_CORRUPT:
        # SQLite calls a file malformed that the disk fails to read, too.
        return (
            f"The library {path} is damaged, or its disk could not be read ({error}); it was left "
            f"as it is. {_ADVICE}"
        )
    if code == sqlite3.SQLITE_NOTADB:
        return (
            f"{path} cannot be read as a ShoriTUI library ({error}); it was left as it is, "
            "move it away to begin a new one."
        )
    if code == sqlite3.SQLITE_FULL:
        return f"The disk is full, so the library {path} cannot grow; make room and try again."
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return f"The library {path} cannot be written ({error}); make it and its folder writable."
    if code == sqlite3.SQLITE_IOERR:
        return (
            f"The library {path} could not be read or written ({error}); what was saved before "
            "is as it was. Is there room on the disk, and is it still there?"
        )
    return f"The library {path} cannot be used ({error})."
