"""A chat with its whole tree, outside of any library: what copies and exports hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from sqlite3 import Connection
from typing import Final

import msgspec

from shoritui.cards import card_to_json
from shoritui.story import rows
from shoritui.story.database import fetch
from shoritui.story.model import Chat, Details, Entry, Made
from shoritui.story.rows import ENTRY, storable

_NAMES_AN_ENTRY: Final = "first_kept"
"""The one setting of a chat that is a slot, or, where it is older, an entry's id."""


@dataclass(frozen=True, slots=True)
class WholeChat:
    """A chat, every entry of it that is not in the bin, and how the library lists it."""

    chat: Chat
    entries: tuple[Entry, ...]
    """Oldest first; each follows one of them or none, and the chat's head is one or none."""
    visited: Mapping[int, float]
    """When each entry was the path's end last, of those that were."""
    tags: tuple[str, ...] = ()
    favourite: bool = False
    archived: bool = False

    def path(self) -> list[Entry]:
        """Return the active path, from the root to the head."""
        every = {entry.id: entry for entry in self.entries}
        parents = {entry.id: entry.parent for entry in self.entries}
        return [every[entry_id] for entry_id in rows.way_up(parents, self.chat.head)][::-1]

    def renumbered(self, first: int) -> WholeChat:
        """Return the same chat with other ids of its entries, which count from `first`."""
        new = {entry.id: number for number, entry in enumerate(self.entries, start=first)}
        slots: dict[int, int] = {}
        for entry in self.entries:
            slots.setdefault(entry.slot, new[entry.id])
        settings = dict(self.chat.settings)
        settings.pop("summary", None)  # nobody has used it; it names slots as well
        if _NAMES_AN_ENTRY in settings:
            named = settings[_NAMES_AN_ENTRY]
            settings[_NAMES_AN_ENTRY] = (
                slots.get(named, new.get(named)) if isinstance(named, int) else None
            )
        head = None if self.chat.head is None else new[self.chat.head]
        return replace(
            self,
            chat=replace(self.chat, head=head, settings=settings),
            entries=tuple(
                replace(
                    entry,
                    id=new[entry.id],
                    parent=None if entry.parent is None else new[entry.parent],
                    slot=slots[entry.slot],
                    details=_renumbered(entry.details, slots, slots[entry.slot], new),
                )
                for entry in self.entries
            ),
            visited={new[entry_id]: at for entry_id, at in self.visited.items()},
        )


def _renumbered(
    details: Details, slots: Mapping[int, int], own: int, ids: Mapping[int, int]
) -> Details:
    """Return the details with other slots and ids; a slot that is gone becomes their own."""
    span, made = details.span, details.made
    if span is not None:
        span = (slots.get(span[0], own), slots.get(span[1], own))
    if made is not None:
        made = Made(made.how, ids.get(made.of, 0))
    return msgspec.structs.replace(details, span=span, made=made)


def read_whole(db: Connection, chat_id: int) -> WholeChat:
    """Return a chat; what is being written just now is cut, or left out if nothing has come.

    Raises:
        UserError: There is no such chat.
        Damaged: Something in it cannot be read.
    """
    chat = rows.read_chat(db, chat_id)
    found = fetch(
        db,
        f"SELECT {ENTRY}, visited FROM entries WHERE chat = ? AND deleted IS NULL ORDER BY id",
        chat_id,
    )
    every = [rows.to_entry(row[:-1]) for row in found]
    above = {entry.id: entry.parent for entry in every}
    kept = [entry for entry in every if entry.status != "streaming" or entry.text.strip()]
    ids = {entry.id for entry in kept}

    def nearest(step: int | None) -> int | None:
        for _ in above:  # no oftener: a damaged library may hold circles
            if step is None or step in ids:
                return step
            step = above.get(step)
        return None

    list(rows.way_up(above, chat.head))  # raises where it is damaged
    [(tags, favourite, archived)] = fetch(
        db, "SELECT tags, favourite, archived FROM chats WHERE id = ?", chat_id
    )
    return WholeChat(
        replace(chat, head=nearest(chat.head)),
        tuple(
            replace(
                entry,
                parent=nearest(entry.parent),
                status="cut" if entry.status == "streaming" else entry.status,
            )
            for entry in kept
        ),
        {row[0]: row[-1] for row in found if type(row[-1]) is float and row[-1] and row[0] in ids},
        rows.read_tags(chat_id, tags),
        bool(favourite),
        bool(archived),
    )


def free_name(db: Connection, name: str) -> str:
    """Return a chat's name that no other one has: `The ferry`, or `The ferry (2)`."""
    taken = {each for (each,) in db.execute("SELECT name FROM chats WHERE deleted IS NULL")}
    numbered = (f"{name} ({number})" for number in count(2))
    return name if name not in taken else next(each for each in numbered if each not in taken)


def add_whole(db: Connection, whole: WholeChat) -> int:
    """Put a chat into the library as a new one and return its id; its entries get new ids too."""
    whole = whole.renumbered(rows.new_id(db, "entries"))
    chat = whole.chat
    cursor = db.execute(
        "INSERT INTO chats (id, name, scene, user, settings, created, updated, tags, favourite, "
        "archived) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            rows.new_id(db, "chats"),
            storable(chat.name),
            card_to_json(chat.scene),
            storable(chat.user),
            json.dumps(chat.settings),
            chat.created,
            chat.updated,
            json.dumps([storable(tag) for tag in whole.tags]),
            whole.favourite,
            whole.archived,
        ),
    )
    chat_id = cursor.lastrowid
    assert chat_id is not None
    db.execute("PRAGMA defer_foreign_keys = ON")  # an entry may follow one that comes later
    db.executemany(
        "INSERT INTO entries (id, parent, kind, speaker, length, text, status, created, tokens, "
        "slot, hidden, label, origin, details, pinned, chat, visited) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(entry.id, entry.parent, entry.kind, storable(entry.speaker), entry.length),
                *(storable(entry.text), entry.status, entry.created, entry.tokens, entry.slot),
                entry.hidden,
                None if entry.label is None else storable(entry.label),
                rows.kept_text(entry.origin),
                rows.kept_text(entry.details),
                entry.pinned,
                chat_id,
                whole.visited.get(entry.id, 0.0),
            )
            for entry in whole.entries
        ],
    )
    db.execute("UPDATE chats SET head = ? WHERE id = ?", (chat.head, chat_id))
    return chat_id
