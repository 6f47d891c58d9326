"""Chats and entries as rows: reading and writing them inside a transaction of the caller.

`to_chat` and `to_entry` alone make anything of a row. What no library wrote is `Damaged`, which
says what of it cannot be read; no other row is the worse for it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from sqlite3 import Connection
from typing import Any, Final, Literal, TypeVar, get_args

import msgspec

from shoritui.blockml import LENGTHS
from shoritui.bounded import Malformed, read_json
from shoritui.cards import card_from_json, cast_from_json
from shoritui.errors import UserError
from shoritui.story.database import Damaged, fetch
from shoritui.story.model import Chat, Details, Draft, Entry, Kind, Origin, Status, Summary

CHAT = "id, name, scene, user, head, settings, created, updated, tags"
_ENTRY_COLUMNS = (
    *("id", "parent", "kind", "speaker", "length", "text", "status", "created", "tokens"),
    *("slot", "hidden", "label", "origin", "details", "pinned"),
)
ENTRY = ", ".join(f"entries.{column}" for column in _ENTRY_COLUMNS)

BEGINNING: Final = 120
"""Characters of an entry's text that lists and trees show."""
SUMMARY: Final = f"""
SELECT {", ".join(f"chats.{column}" for column in CHAT.split(", "))},
    substr(entries.text, 1, {BEGINNING}), entries.chat, favourite, archived, chats.deleted, (
        SELECT count(DISTINCT slot) FROM entries
        WHERE chat = chats.id AND kind = 'message' AND entries.deleted IS NULL
    )
FROM chats LEFT JOIN entries ON entries.id = head
"""
"""The rows of `to_summary`, to be followed by which ones."""

_KINDS = frozenset(get_args(Kind))
_STATUSES = frozenset(get_args(Status))
_END_OF_TIME = 250_000_000_000.0
"""In seconds; later times have no date."""
_Scene = TypeVar("_Scene")
_Kept = TypeVar("_Kept", Origin, Details)
_UNKNOWN: Final = Origin()
_MOST: Final = 1 << 53
"""Ids and counts are below it: beyond it there may be no next one, and scripts round."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def to_chat(row: tuple[Any, ...]) -> Chat:
    """Return the chat of a row of the columns `CHAT`.

    Raises:
        Damaged: Something in it cannot be what a library wrote, or a newer one wrote it.
    """
    chat_id, name, _, user, head, _, created, updated, _ = row
    card, chosen = _scene_and_settings(row, card_from_json)
    return Chat(chat_id, name, card, user, head, chosen, created, updated)


def _scene_and_settings(
    row: tuple[Any, ...], read_scene: Callable[[str], _Scene]
) -> tuple[_Scene, dict[str, Any]]:
    """Return what is JSON in a chat's row; raise `Damaged` if anything is wrong in the row."""
    chat_id, name, scene, user, head, settings, created, updated, tags = row
    texts = {"name": name, "user's name": user, "scene": scene, "settings": settings}
    for part, text in texts.items():
        if type(text) is not str:
            raise _damaged("chat", chat_id, part)
    if not (_is_time(created) and _is_time(updated)):
        raise _damaged("chat", chat_id, "date")
    head_of(chat_id, head)
    read_tags(chat_id, tags)
    try:
        known = read_scene(scene)
    except UserError as error:
        raise Damaged(f"The stored chat {chat_id} cannot be opened: {error}") from error
    try:
        chosen = read_json(settings)
    except Malformed:
        chosen = None
    if not isinstance(chosen, dict):
        raise _damaged("chat", chat_id, "settings")
    return known, chosen


def read_tags(chat_id: int, tags: str | bytes) -> tuple[str, ...]:
    """Return a chat's tags; raise `Damaged` if these are none."""
    try:
        return msgspec.json.decode(tags, type=tuple[str, ...])
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        raise _damaged("chat", chat_id, "tags") from None


def to_summary(row: tuple[Any, ...]) -> Summary:
    """Return what a list shows of a chat, damaged or not, of a row of `SUMMARY`."""
    chat_id, name, _, _, head, _, created, updated, tags = row[:9]
    last, end, favourite, archived, deleted, count = row[9:]
    try:
        cast, _ = _scene_and_settings(row[:9], cast_from_json)
        if end != chat_id and head is not None:
            raise _damaged("chat", chat_id, "last entry")
        if head is not None and type(last) is not str:
            raise _damaged("entry", head, "text")
        if not (deleted is None or _is_time(deleted)):
            raise _damaged("chat", chat_id, "date")
    except Damaged as error:
        return unreadable(chat_id, name, deleted, error)
    return Summary(
        id=chat_id,
        name=name,
        cast=cast,
        messages=count,
        last_line=" ".join((last or "").split()),
        created=created,
        updated=updated,
        tags=read_tags(chat_id, tags),
        favourite=bool(favourite),
        archived=bool(archived),
        deleted=deleted,
    )


def unreadable(chat_id: int, name: object, deleted: object, why: Damaged) -> Summary:
    """Return a damaged chat as a list shows it."""
    known = name if isinstance(name, str) else f"Chat {chat_id}"
    since = None if deleted is None else 0.0
    return Summary(chat_id, known, (), 0, str(why), 0.0, 0.0, (), False, False, since, True)


def to_entry(row: tuple[Any, ...]) -> Entry:
    """Return the entry of a row of the columns `ENTRY`.

    Raises:
        Damaged: Something in it cannot be what a library wrote.
    """
    _, parent, kind, speaker, length, text, status, created, tokens, slot, *_ = row
    hidden, label, origin, details, pinned = row[10:]
    if not (
        type(text) is type(speaker) is str
        and type(created) is float
        and type(tokens) is type(slot) is int
        and (parent is None or type(parent) is int)
        and (kind in _KINDS and status in _STATUSES)
        and (length is None or length in LENGTHS)
        and (label is None or type(label) is str)
        and 0 <= created < _END_OF_TIME
        and 0 <= tokens < _MOST
    ):
        raise _damaged_entry(row)
    told = _decoded(details, Details)
    if told is None:  # it may have been a whisper
        raise _damaged("entry", row[0], "details")
    made = _decoded(origin, Origin) or _UNKNOWN
    return Entry(*[*row[:10], bool(hidden), label, made, told, bool(pinned)])


def check_entry(row: tuple[Any, ...]) -> None:
    """Raise `Damaged` where anything in an entry's row cannot be read, also what can be spared."""
    to_entry(row)
    if _decoded(row[12], Origin) is None:
        raise _damaged("entry", row[0], "origin")


def _damaged_entry(row: tuple[Any, ...]) -> Damaged:
    entry_id, parent, kind, speaker, length, text, status, created, tokens, slot, _, label, *_ = row
    sound = {
        "text": type(text) is str,
        "speaker": type(speaker) is str,
        "kind": kind in _KINDS,
        "status": status in _STATUSES,
        "length": length is None or length in LENGTHS,
        "date": type(created) is float and _is_time(created),
        "place in the story": parent is None or type(parent) is int,
        "place among its versions": type(slot) is int,
        "bookmark": label is None or type(label) is str,
        "number of tokens": type(tokens) is int and 0 <= tokens < _MOST,
    }
    return _damaged(
        "entry", entry_id, next(what for what, is_sound in sound.items() if not is_sound)
    )


def expect_node(
    entry_id: object,
    parent: object,
    slot: object,
    kind: object,
    speaker: object,
    text: object,
    label: object,
) -> None:
    """Raise `Damaged` unless these can be what the tree shows of an entry."""
    if not (
        (parent is None or type(parent) is int)
        and type(slot) is int
        and kind in _KINDS
        and type(speaker) is type(text) is str
        and (label is None or type(label) is str)
    ):
        raise _damaged("entry", entry_id, "row")


def is_hit(row: Sequence[object], text: object) -> bool:
    """Return whether these can be a chat and what a search shows of an entry in it."""
    _, name, _, kind, speaker, created = row
    are_texts = type(name) is type(speaker) is type(text) is str
    return are_texts and kind in _KINDS and _is_time(created)


def _is_time(seconds: object) -> bool:
    return isinstance(seconds, int | float) and 0 <= seconds < _END_OF_TIME


def _damaged(what: Literal["chat", "entry"], row_id: object, part: str) -> Damaged:
    """Return the error about a row that no library wrote."""
    return Damaged(f"The stored {what} {row_id} is damaged: its {part} cannot be read.")


def way_up(parents: Mapping[int, int | None], head: int | None) -> Iterator[int]:
    """Yield the path from an entry up to the root, of entries by what each follows.

    Raises:
        Damaged: They follow one another in a circle, or the path leads out of them.
    """
    for _ in parents:
        if head is None:
            return
        yield head
        if head not in parents:
            break
        head = parents[head]
    if head is not None:
        raise Damaged(
            "The stored story is damaged: what comes before its last message does not lead to a "
            "beginning."
        )


def read_chat(db: Connection, chat_id: int) -> Chat:
    """Return one chat; raise a UserError if it is gone."""
    rows = fetch(db, f"SELECT {CHAT} FROM chats WHERE id = ?", chat_id)
    return to_chat(the_one(rows, "chat", chat_id))


def read_head(db: Connection, chat_id: int) -> int | None:
    """Return the last entry of the active path; raise a UserError if the chat is gone."""
    rows = fetch(db, "SELECT head FROM chats WHERE id = ?", chat_id)
    return head_of(chat_id, the_one(rows, "chat", chat_id)[0])


def head_of(chat_id: int, head: object) -> int | None:
    """Return what stands in a chat's `head`; raise `Damaged` if that is no entry's id."""
    if head is None or type(head) is int:
        return head
    raise _damaged("chat", chat_id, "last entry")


def touch_chat(db: Connection, chat_id: int) -> None:
    """Make the chat the one used last; raise a UserError if it is gone."""
    if not db.execute("UPDATE chats SET updated = ? WHERE id = ?", (now(db), chat_id)).rowcount:
        raise gone("chat", chat_id)


def read_entry(db: Connection, entry_id: int) -> Entry:
    """Return one entry; raise a UserError if it is gone."""
    rows = fetch(db, f"SELECT {ENTRY} FROM entries WHERE id = ?", entry_id)
    return to_entry(the_one(rows, "entry", entry_id))


def chat_of(db: Connection, entry_id: int) -> int:
    """Return the chat that an entry belongs to; raise a UserError if the entry is gone."""
    rows = fetch(db, "SELECT chat FROM entries WHERE id = ?", entry_id)
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
        "INSERT INTO entries (id, chat, parent, kind, speaker, length, text, status, writer, "
        "created, tokens, origin, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            new_id(db, "entries"),
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


def new_id(db: Connection, table: Literal["chats", "entries", "acts", "history"]) -> int:
    """Return an id for a new row, which no row of the table has had.

    SQLite itself gives none any more once a row has the largest one that there can be.
    """
    [(last,)] = db.execute(
        f"""
        SELECT max(
            coalesce((SELECT max(id) FROM {table} WHERE id < ?1), 0),
            coalesce((
                SELECT max(seq) FROM sqlite_sequence
                WHERE name = '{table}' AND typeof(seq) = 'integer' AND seq < ?1
            ), 0)
        )
        """,
        (_MOST,),
    ).fetchall()
    return int(last) + 1


def erase_chats(db: Connection, which: str, *values: object) -> None:
    """Erase chats with everything that was written in them."""
    chats = f"SELECT id FROM chats WHERE {which}"
    entries = f"SELECT id FROM entries WHERE chat IN ({chats})"
    # Only what is damaged leads from another chat into these; it would keep them for ever.
    db.execute(
        f"UPDATE entries SET parent = NULL WHERE parent IN ({entries}) AND chat NOT IN ({chats})",
        values * 2,
    )
    db.execute(f"UPDATE chats SET head = NULL WHERE head IN ({entries})", values)
    db.execute(f"UPDATE chats SET head = NULL WHERE {which}", values)
    db.execute(f"DELETE FROM chats WHERE {which}", values)


def stream_writers(db: Connection) -> list[str]:
    """Return who is streaming, or was when it died."""
    found = fetch(db, "SELECT DISTINCT writer FROM entries WHERE status = 'streaming'")
    return [writer for (writer,) in found]


def streams_of(db: Connection, writers: Iterable[str]) -> list[tuple[int, int, object]]:
    """Return id, chat and text of the entries that these writers are streaming."""
    return [
        (entry_id, chat_id, text)
        for writer in writers
        for entry_id, chat_id, text in fetch(
            db,
            "SELECT id, chat, text FROM entries WHERE status = 'streaming' AND writer IS ? "
            "ORDER BY id DESC",
            writer,
        )
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
def _decoded(text: str, kind: type[_Kept]) -> _Kept | None:
    """Return what `kept_text` wrote; None where it is damaged."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        return None
