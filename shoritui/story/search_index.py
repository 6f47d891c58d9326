"""The full-text index, which holds nothing that the entries do not: a damaged one is made anew."""

from __future__ import annotations

import sqlite3

_STATEMENTS = (
    # Without these two rows the table cannot even be opened: the format, and "nothing is in it".
    "INSERT OR REPLACE INTO words_config (k, v) VALUES ('version', 4)",
    "INSERT OR REPLACE INTO words_data (id, block) VALUES (1, x''), (10, x'00000000000000')",
    "INSERT INTO words (words) VALUES ('delete-all')",
    "INSERT INTO words (rowid, text) SELECT id, text FROM entries WHERE status <> 'streaming'",
)


def is_about_it(error: BaseException) -> bool:
    """Return whether an error came of a damaged index.

    FTS5 alone reports a constraint without saying which one.
    """
    code = getattr(error, "sqlite_errorcode", None)
    return code in (sqlite3.SQLITE_CORRUPT_VTAB, sqlite3.SQLITE_CONSTRAINT) or (
        isinstance(error, sqlite3.Error) and "invalid fts5 file format" in str(error)
    )


def make_anew(db: sqlite3.Connection) -> None:
    """Fill the index from the entries, whatever it held; in a transaction of the caller."""
    for statement in _STATEMENTS:
        db.execute(statement)
