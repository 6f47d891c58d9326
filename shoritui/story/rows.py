"""Chats and entries as rows: reading and writing them inside a transaction of the caller.

It does not open files and does not decide when anything is kept.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from sqlite3 import Connection
from typing import Any

from shoritui.blockml import Length
from shoritui.cards import card_from_json
from shoritui.errors import UserError
from shoritui.story.model import Chat, Entry, Kind, Status

CHAT = "id, name, scene, user, head, settings, created, updated"
ENTRY = "id, parent, kind, speaker, length, text, status, created, tokens"

_SURROGATE = re.compile("[\ud800-\udfff]")


def to_chat(row: tuple[Any, ...]) -> Chat:
    """The chat of a row of the columns `CHAT`."""
    chat_id, name, scene, user, head, settings, created, updated = row
    card = card_from_json(scene)
    return Chat(chat_id, name, card, user, head, json.loads(settings), created, updated)


def read_chat(db: Connection, chat_id: int) -> Chat:
    """One chat; a UserError if it is gone."""
    rows = db.execute(f"SELECT {CHAT} FROM chats WHERE id = ?", (chat_id,)).fetchall()
    return to_chat(the_one(rows, "chat", chat_id))


def read_head(db: Connection, chat_id: int) -> int | None:
    """The last entry of the chat's active path; a UserError if the chat is gone."""
    rows = db.execute("SELECT head FROM chats WHERE id = ?", (chat_id,)).fetchall()
    head: int | None = the_one(rows, "chat", chat_id)[0]
    return head


def change_chat(db: Connection, chat_id: int, **columns: str | int | None) -> None:
    """Changes columns of a chat and makes it the one used last; a UserError if it is gone."""
    names = "".join(f"{column} = ?, " for column in columns)
    cursor = db.execute(
        f"UPDATE chats SET {names}updated = ? WHERE id = ?", (*columns.values(), now(db), chat_id)
    )
    if not cursor.rowcount:
        raise gone("chat", chat_id)


def read_entry(db: Connection, entry_id: int) -> Entry:
    """One entry; a UserError if it is gone."""
    rows = db.execute(f"SELECT {ENTRY} FROM entries WHERE id = ?", (entry_id,)).fetchall()
    return Entry(*the_one(rows, "entry", entry_id))


def expect_in_chat(db: Connection, chat_id: int, entry_id: int) -> None:
    """Raises a UserError unless the entry is one of the chat."""
    rows = db.execute("SELECT chat FROM entries WHERE id = ?", (entry_id,)).fetchall()
    if the_one(rows, "entry", entry_id)[0] != chat_id:
        raise UserError(f"The entry {entry_id} is not part of the chat {chat_id}.")


def insert_entry(
    db: Connection,
    chat_id: int,
    parent: int | None,
    kind: Kind,
    speaker: str,
    text: str,
    *,
    length: Length | None,
    status: Status,
    writer: str | None,
    tokens: int,
) -> int:
    """Puts an entry into the chat's tree; its id."""
    cursor = db.execute(
        "INSERT INTO entries "
        "(chat, parent, kind, speaker, length, text, status, writer, created, tokens) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            chat_id,
            parent,
            kind,
            storable(speaker),
            length,
            storable(text),
            status,
            writer,
            time.time(),
            tokens,
        ),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def stream_writers(db: Connection) -> list[str]:
    """Who is streaming, or was when it died."""
    rows = db.execute("SELECT DISTINCT writer FROM entries WHERE status = 'streaming'")
    return [writer for (writer,) in rows.fetchall()]


def cut_streams(db: Connection, writers: Iterable[str]) -> None:
    """Ends the entries that these writers were streaming."""
    for writer in writers:
        db.execute(
            "UPDATE entries SET status = 'cut', writer = NULL "
            "WHERE status = 'streaming' AND writer = ?",
            (writer,),
        )


def now(db: Connection) -> float:
    """The time, but later than any chat's last use, whatever the clock did meanwhile."""
    (latest,) = db.execute("SELECT max(updated) FROM chats").fetchone()
    return max(time.time(), (latest or 0.0) + 1e-6)


def storable(text: str) -> str:
    """The text without halves of characters, which no file in UTF-8 can hold."""
    return _SURROGATE.sub("\ufffd", text)


def the_one(rows: list[tuple[Any, ...]], what: str, row_id: int) -> tuple[Any, ...]:
    """The only row there is, or a UserError."""
    if not rows:
        raise gone(what, row_id)
    return rows[0]


def gone(what: str, row_id: int) -> UserError:
    """The error about a chat or entry that is not there."""
    return UserError(f"The library has no {what} {row_id}; it may have been deleted elsewhere.")
