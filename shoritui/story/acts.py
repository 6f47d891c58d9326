"""What was done to a chat, so that it can be taken back and done again, without limit.

An act is a list of values that changed: `[table, row, column, old, new]`. To take it back is to
put the old values in their places, to do it again the new ones. Entries are never part of it:
they are only ever added, and what an act takes out of the story stays in the tree.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from sqlite3 import Connection
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shoritui.story import rows
from shoritui.story.database import Damaged, fetch

Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""What SQLite takes for one."""
Value = str | int | float | None
Table = Literal["chats", "entries"]
Change = tuple[Table, int, str, Value, Value]
_KeptValue = str | Integer | float | None
_CHANGES = msgspec.json.Decoder(list[tuple[Table, Integer, str, _KeptValue, _KeptValue]])
_NEVER = 1 << 62
"""An act's id that none has."""
_COLUMNS = {
    "chats": {
        *("head", "user", "scene", "name", "tags", "favourite", "archived", "deleted"),
        *("settings.instruction", "settings.ooc"),  # texts in its settings; None takes one out
    },
    "entries": {"parent", "hidden", "pinned", "label", "deleted"},
}
"""What an act may change, which is also what a library's file may make an undo change."""
_ABOUT_A_CHAT = {"name", "tags", "favourite", "archived", "deleted"}
"""What can change of a chat while its story stays as last used."""


class Act:
    """One act while it is done, inside a transaction of the library."""

    def __init__(self, db: Connection, chat_id: int) -> None:
        self._db = db
        self._chat = chat_id
        self._changes: list[Change] = []

    def set(self, table: Table, row: int, column: str, value: Value) -> None:
        """Give a column of a chat or an entry another value."""
        old = _value(self._db, table, row, column)
        if old != value:
            _put(self._db, table, row, column, value)
            self._changes.append((table, row, column, old, value))

    def set_head(self, entry_id: int | None) -> None:
        """End the active path at another entry."""
        self.set("chats", self._chat, "head", entry_id)

    def keep(self, name: str) -> None:
        """Record the act; what had been taken back before it can no longer be done again."""
        if self._changes:
            self._db.execute("DELETE FROM acts WHERE chat = ? AND undone", (self._chat,))
            self._db.execute(
                "INSERT INTO acts (id, chat, name, at, changes) VALUES (?, ?, ?, ?, ?)",
                (
                    rows.new_id(self._db, "acts"),
                    *(self._chat, name, rows.now(self._db), json.dumps(self._changes)),
                ),
            )


@contextmanager
def acting(db: Connection, chat_id: int, name: str) -> Iterator[Act]:
    """An act of this name, recorded once the block ends without an error."""
    act = Act(db, chat_id)
    yield act
    act.keep(name)


def undo(db: Connection, chat_id: int) -> str | None:
    """Take the chat's last act back; its name, or None if there is none."""
    return _turn(db, chat_id, undone=False)


def redo(db: Connection, chat_id: int) -> str | None:
    """Do again what was taken back last; its name, or None if there is none."""
    return _turn(db, chat_id, undone=True)


def next_names(db: Connection, chat_id: int) -> tuple[str | None, str | None]:
    """What `undo` and `redo` would act on, by name."""
    names = [_next(db, chat_id, undone) for undone in (False, True)]
    return names[0][1] if names[0] else None, names[1][1] if names[1] else None


def forget_streamed(db: Connection, chat_id: int, entry_id: int) -> None:
    """Take back and forget the act that brought an entry of which nothing came."""
    match _naming(db, chat_id, {entry_id}):
        case [(act_id, 0, changes)]:  # whatever was done since has nothing to do with it
            for table, row, column, old, new in reversed(changes):
                if column in _COLUMNS.get(table, ()) and _value(db, table, row, column) == new:
                    _put(db, table, row, column, old)
            db.execute("DELETE FROM acts WHERE id = ?", (act_id,))
        case _:
            forget(db, chat_id, {entry_id})


def forget(db: Connection, chat_id: int, entry_ids: Collection[int]) -> None:
    """Forget the acts that name one of these entries, and those that lie beyond them."""
    naming = _naming(db, chat_id, entry_ids)
    done = max((act_id for act_id, undone, _ in naming if not undone), default=0)
    undone = min((act_id for act_id, undone, _ in naming if undone), default=_NEVER)
    db.execute(
        "DELETE FROM acts WHERE chat = ? AND iif(undone, id >= ?, id <= ?)",
        (chat_id, undone, done),
    )


def _naming(
    db: Connection, chat_id: int, entry_ids: Collection[int]
) -> list[tuple[int, int, list[Change]]]:
    """Return id, whether it is undone, and changes of each act that names one of these entries.

    A damaged one names none that anybody could tell, and is never taken back either.
    """
    naming = []
    found = fetch(db, "SELECT id, undone, changes FROM acts WHERE chat = ?", chat_id)
    for act_id, undone, changes in found:
        with suppress(Damaged):
            act = act_id, undone, changes_of(act_id, changes)
            if _names(act[2], entry_ids):
                naming.append(act)
    return naming


def check_act(act_id: int, name: object, changes: str | bytes) -> None:
    """Raise `Damaged` where anything of an act cannot be read, also what can be spared."""
    changes_of(act_id, changes)
    if not isinstance(name, str):
        raise Damaged(f"The stored act {act_id} is damaged: its name cannot be read.")


def changes_of(act_id: int, changes: str | bytes) -> list[Change]:
    """Return what an act changed; raise `Damaged` if that cannot be read."""
    try:
        return [*_CHANGES.decode(changes)]
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        raise Damaged(
            f"The stored act {act_id} is damaged: what it changed cannot be read, so neither it "
            "nor an act beyond it can be undone or redone."
        ) from None


def _names(changes: list[Change], entry_ids: Collection[int]) -> bool:
    return any(
        (table == "entries" and row in entry_ids)
        or (column in ("head", "parent") and (old in entry_ids or new in entry_ids))
        for table, row, column, old, new in changes
    )


def _turn(db: Connection, chat_id: int, *, undone: bool) -> str | None:
    found = _next(db, chat_id, undone)
    if found is None:
        return None
    act_id, name, changes = found
    changed = changes_of(act_id, changes)
    for table, row, column, old, new in changed if undone else reversed(changed):
        value = new if undone else old
        if column == "deleted" and value is not None:
            value = rows.now(db)  # its days in the bin begin anew
        if column in _COLUMNS.get(table, ()):
            _put(db, table, row, column, value)
    db.execute("UPDATE acts SET undone = ? WHERE id = ?", (not undone, act_id))
    if any(table != "chats" or column not in _ABOUT_A_CHAT for table, _, column, *_ in changed):
        rows.touch_chat(db, chat_id)
    return name


def _next(db: Connection, chat_id: int, undone: bool) -> tuple[int, str, str] | None:
    order = "" if undone else "DESC"
    for act_id, name, changes in fetch(
        db,
        f"SELECT id, name, changes FROM acts WHERE chat = ? AND undone = ? ORDER BY id {order} "
        "LIMIT 1",
        *(chat_id, undone),
    ):
        return act_id, name if isinstance(name, str) else "?", changes
    return None


def _value(db: Connection, table: Table, row: int, column: str) -> Value:
    value: Value
    column, _, key = column.partition(".")
    wanted = f"json_extract({column}, '$.{key}')" if key else column
    [value] = db.execute(f"SELECT {wanted} FROM {table} WHERE id = ?", (row,)).fetchone() or [None]
    return value


def _put(db: Connection, table: str, row: int, column: str, value: Value) -> None:
    column, _, key = column.partition(".")
    new = "?"
    if key:
        is_gone = f"iif(? IS NULL, json_remove({column}, '$.{key}'), "
        new = f"{is_gone}json_set({column}, '$.{key}', ?))"
    values = (value, value, row) if key else (value, row)
    db.execute(f"UPDATE {table} SET {column} = {new} WHERE id = ?", values)
    if column == "head" and value is not None:
        db.execute("UPDATE entries SET visited = ? WHERE id = ?", (rows.now(db), value))
