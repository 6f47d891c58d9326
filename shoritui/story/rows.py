"""Chats and entries as rows: reading and writing them inside a transaction of the caller."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from sqlite3 import Connection
from typing import Any, TypeVar, get_args

import msgspec

from shoritui.blockml import LENGTHS
from shoritui.bounded import read_json
from shoritui.cards import card_from_json
from shoritui.errors import UserError
from shoritui.story.model import Chat, Details, Draft, Entry, Kind, Origin, Status, Summary

CHAT = "id, name, scene, user, head, settings, created, updated, tags"
_ENTRY_COLUMNS = (
    *("id", "parent", "kind", "speaker", "length", "text", "status", "created", "tokens"),
    *("slot", "hidden", "label", "origin", "details", "pinned"),
)
ENTRY = ", ".join(f"entries.{column}" for column in _ENTRY_COLUMNS)

_KINDS = frozenset(get_args(Kind))
_STATUSES = frozenset(get_args(Status))
_END_OF_TIME = 250_000_000_000.0
"""In seconds; later times have no date."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_Kept = TypeVar("_Kept", Origin, Details)


def to_chat(row: tuple[Any, ...]) -> Chat:
    """Return the chat of a row of the columns `CHAT`.

    Raises:
        UserError: Something in it cannot be what a library wrote.
    """
    chat_id, name, scene, user, head, settings, created, updated, tags = row
    card = card_from_json(scene)
    try:
        chosen = read_json(settings)
        is_sound = isinstance(chosen, dict) and isinstance(read_json(tags), list)
        is_sound = is_sound and isinstance(user, str) and is_listed(name, created, updated)
    except (TypeError, ValueError, RecursionError):
        is_sound = False
    if not is_sound:
        raise damaged(chat_id)
    return Chat(chat_id, name, card, user, head, chosen, created, updated)


def to_summary(row: tuple[Any, ...]) -> Summary:
    """Return what a list shows of a chat, damaged or not, of a row of `Library.summaries`."""
    chat_id, name, scene, last, created, updated, tags, favourite, archived, deleted, count = row
    try:
        cast = tuple(str(each["name"]) for each in read_json(str(scene)).get("character", ()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        cast = ()
    try:
        is_sound = is_listed(name, created, updated, deleted or 0.0)
        names = tuple(map(str, read_json(tags)))
    except (ValueError, TypeError, RecursionError):
        is_sound = False
    if not is_sound:
        why = str(damaged(chat_id))
        since = None if deleted is None else 0.0
        known = name if isinstance(name, str) else f"Chat {chat_id}"
        return Summary(chat_id, known, (), 0, why, 0.0, 0.0, (), False, False, since, True)
    return Summary(
        id=chat_id,
        name=name,
        cast=cast,
        messages=count,
        last_line=" ".join(str(last or "").split()),
        created=created,
        updated=updated,
        tags=names,
        favourite=bool(favourite),
        archived=bool(archived),
        deleted=deleted,
    )


def is_listed(name: object, *times: float) -> bool:
    """Return whether these can be a chat's name and the times of its use."""
    return isinstance(name, str) and all(0 <= each < _END_OF_TIME for each in times)


def damaged(chat_id: object) -> UserError:
    """Return the error about a chat that no library wrote."""
    return UserError(f"The stored chat {chat_id} is damaged: its row in the library is wrong.")


def to_entry(row: tuple[Any, ...]) -> Entry:
    """Return the entry of a row of the columns `ENTRY`.

    Raises:
        UserError: Something in it cannot be what a library wrote.
    """
    entry_id, _, kind, speaker, length, text, status, created, tokens, *_ = row
    hidden, label, origin, details, pinned = row[10:]
    if not (
        type(text) is type(speaker) is str
        and type(created) is float
        and type(tokens) is int
        and (kind in _KINDS and status in _STATUSES)
        and (length is None or length in LENGTHS)
        and (label is None or type(label) is str)
        and 0 <= created < _END_OF_TIME
    ):
        raise UserError(f"The stored entry {entry_id} is damaged: its row in the library is wrong.")
    return Entry(
        *[
            *row[:10],
            bool(hidden),
            label,
            _kept(origin, Origin),
            _kept(details, Details),
            bool(pinned),
        ]
    )


def way_up(parents: Mapping[int, int | None], head: int | None) -> Iterator[int]:
    """Yield the path from an entry up to the root, of entries by what each follows.

    Raises:
        UserError: They follow one another in a circle, or the path leads out of them.
    """
    for _ in parents:
        if head is None:
            return
        yield head
        if head not in parents:
            break
        head = parents[head]
    if head is not None:
        raise UserError(
            f"The stored story is damaged: what comes before its entry {head} does not lead to "
            "a beginning."
        )


def read_chat(db: Connection, chat_id: int) -> Chat:
    """Return one chat; raise a UserError if it is gone."""
    rows = db.execute(f"SELECT {CHAT} FROM chats WHERE id = ?", (chat_id,)).fetchall()
    return to_chat(the_one(rows, "chat", chat_id))


def read_head(db: Connection, chat_id: int) -> int | None:
    """Return the last entry of the active path; raise a UserError if the chat is gone."""
    rows = db.execute("SELECT head FROM chats WHERE id = ?", (chat_id,)).fetchall()
    head: int | None = the_one(rows, "chat", chat_id)[0]
    return head


def touch_chat(db: Connection, chat_id: int) -> None:
    """Make the chat the one used last; raise a UserError if it is gone."""
    if not db.execute("UPDATE chats SET updated = ? WHERE id = ?", (now(db), chat_id)).rowcount:
        raise gone("chat", chat_id)


def read_entry(db: Connection, entry_id: int) -> Entry:
    """Return one entry; raise a UserError if it is gone."""
    rows = db.execute(f"SELECT {ENTRY} FROM entries WHERE id = ?", (entry_id,)).fetchall()
    return to_entry(the_one(rows, "entry", entry_id))


def chat_of(db: Connection, entry_id: int) -> int:
    """Return the chat that an entry belongs to; raise a UserError if the entry is gone."""
    rows = db.execute("SELECT chat FROM entries WHERE id = ?", (entry_id,)).fetchall()
    chat_id: int = the_one(rows, "entry", entry_id)[0]
    return chat_id


def expect_in_chat(db: Connection, chat_id: int, entry_id: int) -> None:
    """Raise a UserError unless the entry is one of the chat."""
    if chat_of(db, entry_id) != chat_id:
        raise UserError(f"The entry {entry_id} is not part of the chat {chat_id}.")


def insert_entry(
    db: Connection,
    chat_id: int,
    parent: int | None,
    draft: Draft,
    *,
    writer: str | None = None,
    slot: int | None = None,
) -> int:
    """Put an entry into the chat's tree and return its id; without `slot` it is a new message."""
    cursor = db.execute(
        "INSERT INTO entries (chat, parent, kind, speaker, length, text, status, writer, created, "
        "tokens, origin, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            chat_id,
            parent,
            draft.kind,
            storable(draft.speaker),
            draft.length,
            storable(draft.text),
            draft.status,
            writer,
            time.time(),
            draft.tokens,
            kept_text(draft.origin),
            kept_text(draft.details),
        ),
    )
    assert cursor.lastrowid is not None
    entry_id = cursor.lastrowid
    db.execute("UPDATE entries SET slot = ? WHERE id = ?", (slot or entry_id, entry_id))
    return entry_id


def stream_writers(db: Connection) -> list[str]:
    """Return who is streaming, or was when it died."""
    rows = db.execute("SELECT DISTINCT writer FROM entries WHERE status = 'streaming'")
    return [writer for (writer,) in rows.fetchall()]


def streams_of(db: Connection, writers: Iterable[str]) -> list[tuple[int, int, str]]:
    """Return id, chat and text of the entries that these writers are streaming."""
    return [
        row
        for writer in writers
        for row in db.execute(
            "SELECT id, chat, text FROM entries WHERE status = 'streaming' AND writer = ? "
            "ORDER BY id DESC",
            (writer,),
        ).fetchall()
    ]


def now(db: Connection) -> float:
    """Return the time, but later than any chat's last use, whatever the clock did meanwhile."""
    (latest,) = db.execute(
        "SELECT max(updated) FROM chats WHERE updated < ?",
        (_END_OF_TIME,),  # others are damaged
    ).fetchone()
    return max(time.time(), (latest or 0.0) + 1e-6)


def storable(text: str) -> str:
    """Return the text without halves of characters, which no file in UTF-8 can hold."""
    return _SURROGATE.sub("\ufffd", text)


def the_one(rows: list[tuple[Any, ...]], what: str, row_id: int) -> tuple[Any, ...]:
    """Return the only row there is; raise a UserError if there is none."""
    if not rows:
        raise gone(what, row_id)
    return rows[0]


def gone(what: str, row_id: int) -> UserError:
    """Return the error about a chat or entry that is not there."""
    return UserError(f"The library has no {what} {row_id}; it may have been deleted elsewhere.")


def kept_text(value: Origin | Details) -> str:
    """Return who wrote an entry, or its details, as the library keeps them."""
    return storable(msgspec.json.encode(value).decode())


@lru_cache(maxsize=256)
def _kept(text: str, kind: type[_Kept]) -> _Kept:
    """Return what `kept_text` wrote; a newer program's record, or a damaged one, tells nothing."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, TypeError):
        return kind()
