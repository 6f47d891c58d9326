"""Copies of the library beside it, and whether a library is sound.

A copy is made once a day, before a newer program changes the tables, and before another copy
takes the library's place. The last ten are kept, in the folder `backups`.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from shoritui.errors import UserError
from shoritui.files import open_file, whole_file, why
from shoritui.story import rows, search_index
from shoritui.story.acts import check_act
from shoritui.story.database import (
    HEADER,
    MENDED,
    Damaged,
    Database,
    create_private,
    private_folder,
    said,
)
from shoritui.story.migrations import APPLICATION_ID, VERSION
from shoritui.story.presence import Presence
from shoritui.story.search import finds_newest

KEPT = 10
_DAY = 86400.0
_TOLERANCE = 60.0
"""Seconds that a file's time may be ahead of the clock."""
Row = tuple[Any, ...]
Reason = Literal["daily", "before-update", "before-restore", "by-hand"]


@dataclass(frozen=True, slots=True)
class Backup:
    """One copy."""

    path: Path
    made: float
    """Seconds since 1970."""
    size: int
    """In bytes."""


def folder_of(library: Path) -> Path:
    """Return where the copies of a library lie."""
    return library.parent / "backups"


def backups(library: Path) -> list[Backup]:
    """Return the copies that there are, newest first; last those of a clock that went ahead."""
    found, now = [], time.time()
    for path in folder_of(library).glob(f"{library.stem}-*.db"):
        if path.is_file():
            state = path.stat()
            found.append(Backup(path, state.st_mtime, state.st_size))
    return sorted(
        found,
        key=lambda backup: (backup.made <= now + _TOLERANCE, backup.made, backup.path.name),
        reverse=True,
    )


def back_up(library: Path, reason: Reason) -> Path:
    """Copy a library as it is now, whoever uses it meanwhile, and return the copy.

    Raises:
        UserError: It cannot be read, or the copy cannot be written; nothing half made stays.
    """
    folder = folder_of(library)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    target = folder / f"{library.stem}-{stamp}-{reason}.db"
    with said(library):
        library.stat()
    try:
        private_folder(folder)
    except OSError as error:
        raise UserError(f"Backups cannot be written to {folder}: {why(error)}.") from error
    with said(target), whole_file(target) as part:
        _copy(library, part)
        os.utime(part, (time.time(),) * 2)  # by our clock, not a file server's
    for old_one in backups(library)[KEPT:]:
        old_one.path.unlink(missing_ok=True)
    return target


def look_after(database: Database) -> list[str]:
    """Make the day's copy, unless there is one; return what is wrong in the library.

    Of a damaged one no copy is made: it would push out a sound one.
    """
    if problems := _damage(database, "quick_check"):
        return [*problems, "`shoritui chats restore` brings a backup back."]
    newest = next(iter(backups(database.path)), None)
    if newest is None or not 0 <= time.time() - newest.made < _DAY:
        back_up(database.path, "daily")
    return []


def restore(library: Path, copy: Path) -> Path | None:
    """Put a copy in a library's place; what was there is copied first, and its copy returned.

    What is too damaged to be copied as a library is kept byte by byte.

    Raises:
        UserError: The copy is no sound library, or somebody has the library open.
    """
    _expect_sound(copy)
    if _is_open(library):
        raise UserError("ShoriTUI is open: close every window, and restore again.")
    before = None
    with said(library), whole_file(library) as part:
        _copy(copy, part)
        if library.exists():
            before = _kept(library)
            _empty_log(library)
        for companion in ("-wal", "-shm"):
            library.with_name(library.name + companion).unlink(missing_ok=True)
    return before


def check(database: Database) -> list[str]:
    """Return what is wrong in a library, a sentence each: the file's pages, its rows, its trees."""
    pages = _damage(database, "integrity_check")
    if problems := [each for each in pages if _EMPTY_CELL not in each]:
        return problems
    for look in (_names, _chats, _entries, _trees, _acts, _index):
        try:
            problems += look(database)
        except UserError as error:
            problems.append(str(error))
    return [*dict.fromkeys(problems or pages)]


def _names(database: Database) -> Iterator[str]:
    """Look for rows that name others which are not there."""
    for table, row, other, _ in database.rows("PRAGMA foreign_key_check"):
        match table, other:
            case "chats", _:
                yield f"Chat {row} is damaged: it ends with an entry that is not there."
            case "entries", "entries":
                yield f"Entry {row} is damaged: it follows one that is not there."
            case _:
                yield f"Row {row} of {table} is damaged: it belongs to a chat that is not there."


def _chats(database: Database) -> Iterator[str]:
    return _what_is_wrong(rows.to_chat, database.rows(f"SELECT {rows.CHAT} FROM chats"))


def _entries(database: Database) -> Iterator[str]:
    return _what_is_wrong(rows.check_entry, database.rows(f"SELECT {rows.ENTRY} FROM entries"))


def _trees(database: Database) -> Iterator[str]:
    """Look for entries that do not follow one another from the first one to the last."""
    for chat, entry in database.rows(_FOREIGN_HEADS):
        yield f"Chat {chat} is damaged: it ends with entry {entry}, which is of another chat."
    for chat, entry in database.rows(_FOREIGN):
        yield f"Entry {entry} of chat {chat} is damaged: it follows one of another chat."
    for chat, entry in database.rows(_FOREIGN_SLOTS):
        yield f"Entry {entry} of chat {chat} is damaged: it is a version of one of another chat."
    for (chat,) in database.rows(_CIRCLES):
        yield f"Chat {chat} is damaged: it has entries that follow one another in a circle."


def _acts(database: Database) -> Iterator[str]:
    found = database.rows("SELECT id, name, changes FROM acts")
    return _what_is_wrong(lambda row: check_act(*row), found)


def _index(database: Database) -> Iterator[str]:
    """Look through the search index, which is made anew where it is damaged."""
    if database.is_read_only:
        return
    try:
        with database.transaction() as db:
            db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        is_sound = finds_newest(database)
    except UserError as error:
        if error.__cause__ is None or not search_index.is_about_it(error.__cause__):
            raise
        is_sound = False
    if not is_sound:
        database.mend_index()
        yield MENDED


def _what_is_wrong(read: Callable[[Row], object], found: Iterable[Row]) -> Iterator[str]:
    for row in found:
        try:
            read(row)
        except Damaged as error:
            yield str(error)


def _damage(database: Database, how: str) -> list[str]:
    try:
        pages = [str(row[0]) for row in database.rows(f"PRAGMA {how}(20)")]
    except Damaged as error:  # too much so to be looked through
        return [str(error)]
    return [f"The library {database.path} is damaged: {each}." for each in pages if each != "ok"]


_EMPTY_CELL = "NULL value in"
"""How SQLite begins about a cell that may not be empty; whose it is is told by its row."""
_FOREIGN_HEADS = """
SELECT chats.id, head FROM chats JOIN entries ON entries.id = head AND entries.chat <> chats.id
"""
_FOREIGN = """
SELECT entries.chat, entries.id FROM entries
JOIN entries AS before ON before.id = entries.parent AND before.chat <> entries.chat
"""
_FOREIGN_SLOTS = """
SELECT entries.chat, entries.id FROM entries
JOIN entries AS first ON first.id = entries.slot AND first.chat <> entries.chat
WHERE entries.slot <> entries.id
"""
_CIRCLES = """
WITH RECURSIVE reached (step) AS (
    SELECT id FROM entries AS first
    WHERE parent IS NULL OR NOT EXISTS (SELECT 1 FROM entries WHERE id = first.parent)
    UNION
    SELECT id FROM entries JOIN reached ON parent = step
)
SELECT DISTINCT chat FROM entries WHERE id NOT IN (SELECT step FROM reached)
"""


def _copy(library: Path, target: Path) -> None:
    """Copy a library with what lies in its log."""
    with closing(_reader(library)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode = DELETE")


def _empty_log(library: Path) -> None:
    """Bring into the file what lies in its log, so that a kill while both are replaced costs none.

    Of a damaged library the copy has both.
    """
    with suppress(sqlite3.Error, ValueError), closing(sqlite3.connect(library)) as old:
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _reader(library: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{library.absolute().as_uri()}?mode=ro", uri=True)


def _expect_sound(copy: Path) -> None:
    try:
        with closing(_reader(copy)) as found:
            [application] = found.execute("PRAGMA application_id").fetchone()
            [version] = found.execute("PRAGMA user_version").fetchone()
            [sound] = found.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise UserError(f"{copy} cannot be read ({error}); nothing was changed.") from None
    except UnicodeDecodeError:  # in SQLite's own message, which quotes what is damaged
        raise UserError(f"{copy} is damaged, so it cannot be read; nothing was changed.") from None
    if application != APPLICATION_ID or sound != "ok":
        raise UserError(f"{copy} is no sound ShoriTUI library; nothing was changed.")
    if version > VERSION:
        raise UserError(
            f"{copy} was written by a newer ShoriTUI (format {version}, this one reads up to "
            f"{VERSION}); nothing was changed. Update ShoriTUI to restore it."
        )


def _kept(library: Path) -> Path:
    try:
        if library.stat().st_size >= HEADER:
            return back_up(library, "before-restore")
    except UserError as error:
        if not isinstance(error.__cause__, sqlite3.DatabaseError):
            raise
    damaged = library.with_name(f"{library.name}.damaged-{os.urandom(4).hex()}")
    for companion in ("-wal", ""):
        part = library.with_name(library.name + companion)
        if part.exists():
            target = damaged.with_name(damaged.name + companion)
            create_private(target)
            with open_file(part) as old, target.open("wb") as new:
                shutil.copyfileobj(old, new)
    return damaged


def _is_open(library: Path) -> bool:
    return library.exists() and Presence.others_alive(library)
