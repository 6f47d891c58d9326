"""All chats of a user in one SQLite file: what a method has returned is on the disk."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection

from shoritui.blockml import Length
from shoritui.cards import Card, card_to_json, settle_card
from shoritui.errors import UserError
from shoritui.folders import user_path
from shoritui.story import acts, rows, search, tree
from shoritui.story.acts import Act, acting
from shoritui.story.backups import back_up, backups, check, look_after
from shoritui.story.beginning import beginning
from shoritui.story.database import Damaged, Database
from shoritui.story.model import (
    JSON,
    UNSET,
    Chat,
    Draft,
    Entry,
    Hit,
    Kind,
    Node,
    Status,
    Summary,
    Unset,
)
from shoritui.story.presence import Presence
from shoritui.story.rows import BEGINNING, CHAT, ENTRY, SUMMARY, storable
from shoritui.story.whole_chat import WholeChat, add_whole, free_name, read_whole

_DAY = 86400.0
BIN_DAYS = 30
"""How long deleted chats and messages can be taken back."""
HELD_ELSEWHERE = (
    "This story is open in another window, which writes into it; close it there, or go on in a "
    "copy."
)
_HISTORY = 1000
"""Texts the composer remembers."""


class Library:
    """The chats, their trees of entries, and what the composer remembers.

    A library may be used from any thread, by one at a time: its owner runs every call in
    the same single-threaded executor. Several processes may have the same file open; a chat
    is written by the one that holds it.

    No text is ever overwritten. Every act on a chat can be undone; what is deleted lies in
    the bin for `BIN_DAYS`.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or create it for its owner alone (mode 0600).

        What a process was streaming when it died becomes cut, or, where nothing of it had
        come yet, is dropped; what a living one streams stays as it is. On a disk where nothing can
        be written the library can be read.

        Raises:
            UserError: The file is no library, damaged, newer or locked. It is left as it is.
        """
        self._database = Database(
            user_path(path).absolute(), lambda file: back_up(file, "before-update")
        )
        self._closed = False
        try:
            with self._database.transaction() as db:
                self._presence = Presence(self._database.path, self._database.is_read_only)
                try:
                    if not self._database.is_read_only:
                        self._recover(db)
                except BaseException:
                    self._presence.close()
                    raise
        except BaseException:
            self._database.close()
            raise

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    @property
    def times_replaced(self) -> int:
        """How often another program has put another library into this one's place."""
        return self._database.times_replaced

    # Chats.

    def create_chat(self, scene: Card, user: str, name: str = "") -> Chat:
        """Return a new chat whose story begins with the scene's opening; macros are settled."""
        with self._database.transaction() as db:
            now = rows.now(db)
            scene = settle_card(scene, user, now)
            cursor = db.execute(
                "INSERT INTO chats (id, name, scene, user, settings, created, updated) "
                "VALUES (?, ?, ?, ?, '{}', ?, ?)",
                (
                    rows.new_id(db, "chats"),
                    *(storable(name or _name_of(scene)), card_to_json(scene), storable(user)),
                    *(now, now),
                ),
            )
            chat_id = cursor.lastrowid
            assert chat_id is not None
            _begin(db, chat_id, scene, user)
            return rows.read_chat(db, chat_id)

    def summaries(self, *, deleted: bool = False) -> list[Summary]:
        """Return every chat as a list shows it, the one used last first; or those in the bin.

        One that is damaged is among them, so that it is seen and can be deleted.
        """
        which = f"WHERE chats.deleted IS {'NOT NULL' if deleted else 'NULL'} ORDER BY updated DESC"
        try:
            return [rows.to_summary(row) for row in self._database.rows(f"{SUMMARY} {which}")]
        except Damaged:  # a page of the file: each chat by itself
            found = self._database.rows(f"SELECT id FROM chats {which}")
            return [self._summary(chat_id) for (chat_id,) in found]

    def _summary(self, chat_id: int) -> Summary:
        try:
            found = self._database.rows(f"{SUMMARY} WHERE chats.id = ?", chat_id)
            return rows.to_summary(rows.the_one(found, "chat", chat_id))
        except Damaged as error:
            return rows.unreadable(chat_id, None, None, error)

    def chat(self, chat_id: int) -> Chat:
        """Return one chat.

        Raises:
            UserError: There is none; another process may have deleted it.
        """
        found = self._database.rows(f"SELECT {CHAT} FROM chats WHERE id = ?", chat_id)
        return rows.to_chat(rows.the_one(found, "chat", chat_id))

    def last_chat(self) -> Chat | None:
        """Return the chat used last."""
        found = self._database.rows(
            "SELECT id FROM chats WHERE deleted IS NULL AND NOT archived ORDER BY updated DESC, id"
        )
        for (chat_id,) in found:
            with suppress(UserError):  # about one that is damaged
                return self.chat(chat_id)
        return None

    def delete_chat(self, chat_id: int) -> None:
        """Put a chat into the bin. What takes it back is `restore_chat`, not undo in its story."""
        with self._writing(chat_id, used=False) as db:
            db.execute("UPDATE chats SET deleted = ? WHERE id = ?", (rows.now(db), chat_id))

    def restore_chat(self, chat_id: int) -> None:
        """Take a chat out of the bin."""
        with self._writing(chat_id, used=False) as db:
            db.execute("UPDATE chats SET deleted = NULL WHERE id = ?", (chat_id,))

    def erase_chats(self, chat_ids: Sequence[int]) -> None:
        """Erase chats that lie in the bin, for good; any other one stays."""
        with self._database.transaction() as db:
            for chat_id in chat_ids:
                rows.erase_chats(db, "id = ? AND deleted IS NOT NULL", chat_id)

    def erase_untouched(self, chat_id: int) -> None:
        """Erase a chat that nobody has: nothing is in it, was done to it or chosen for it."""
        with self._database.transaction() as db:
            rows.erase_chats(
                db,
                "id = ? AND scene = ? AND head IS NULL AND draft = '' AND settings = '{}' "
                "AND holder IS NULL AND tags = '[]' AND NOT favourite AND NOT archived "
                "AND NOT EXISTS (SELECT 1 FROM acts WHERE acts.chat = chats.id) "
                "AND NOT EXISTS (SELECT 1 FROM entries WHERE entries.chat = chats.id)",
                *(chat_id, card_to_json(_blank(rows.read_chat(db, chat_id)))),
            )

    def copy_chat(self, chat_id: int, name: str) -> Chat:
        """Return a copy of a chat: its scene, its whole tree, its settings; not its past acts."""
        with self._database.transaction() as db:
            now = rows.now(db)
            whole = read_whole(db, chat_id)
            chat = replace(whole.chat, name=name, created=now, updated=now)
            copy = replace(whole, chat=chat, favourite=False, archived=False)
            return rows.read_chat(db, add_whole(db, copy))

    def whole_chat(self, chat_id: int) -> WholeChat:
        """Return a chat with its whole tree, to be taken elsewhere."""
        with self._database.transaction() as db:
            return read_whole(db, chat_id)

    def add_chat(self, whole: WholeChat) -> Chat:
        """Return a new chat with this tree, as it came from elsewhere; it is not used by that.

        Where a chat has its name already, it gets a number.
        """
        last = self.last_chat()
        with self._database.transaction() as db:
            used = rows.now(db) if last is None else last.updated
            name, updated = free_name(db, storable(whole.chat.name)), whole.chat.updated
            chat = replace(whole.chat, name=name, updated=min(updated, used))
            return rows.read_chat(db, add_whole(db, replace(whole, chat=chat)))

    def touch(self, chat_id: int) -> None:
        """Make the chat the one used last, where anything can be written."""
        if self._database.is_read_only:
            return
        with self._database.transaction() as db:
            rows.touch_chat(db, chat_id)

    def rename_chat(self, chat_id: int, name: str) -> Chat:
        """Give the chat another name."""
        return self._change(chat_id, "Rename the story", "name", storable(name), used=False)

    def set_user(self, chat_id: int, name: str) -> Chat:
        """Change the name the user speaks as."""
        return self._change(chat_id, f"Speak as {name}", "user", storable(name))

    def become(self, chat_id: int, name: str, description: Draft | None = None) -> None:
        """Let the user speak as a persona; a description of it is put into the story for good."""
        with self._acting(chat_id, f"Become {name}") as (db, act):
            act.set("chats", chat_id, "user", storable(name))
            if description is not None:
                head = rows.read_head(db, chat_id)
                entry_id = rows.insert_entry(db, chat_id, head, description)
                act.set_head(entry_id)
                act.set("entries", entry_id, "pinned", 1)

    def update_scene(self, chat_id: int, scene: Card) -> Chat:
        """Give the chat another scene; its entries stay, and a name that is the scene's follows."""
        with self._acting(chat_id, "Change the scene") as (db, act):
            old = rows.read_chat(db, chat_id)
            act.set("chats", chat_id, "scene", card_to_json(scene))
            if old.name == _name_of(old.scene):
                act.set("chats", chat_id, "name", storable(_name_of(scene)))
            return rows.read_chat(db, chat_id)

    def set_tags(self, chat_id: int, tags: Sequence[str]) -> None:
        """Give the chat other tags, by which the library finds it."""
        names = json.dumps([storable(tag) for tag in dict.fromkeys(tags)])
        self._change(chat_id, "Change the story's tags", "tags", names, used=False)

    def set_favourite(self, chat_id: int, favourite: bool) -> None:
        """Mark the chat as a favourite, or no longer."""
        name = "Mark as a favourite" if favourite else "Take from the favourites"
        self._change(chat_id, name, "favourite", int(favourite), used=False)

    def set_archived(self, chat_id: int, archived: bool) -> None:
        """Put the chat among those that are over, or back."""
        name = "Archive the story" if archived else "Take the story out of the archive"
        self._change(chat_id, name, "archived", int(archived), used=False)

    def update_settings(self, chat_id: int, **changes: JSON) -> Chat:
        """Set these settings of the chat; the others stay."""
        with self._database.transaction() as db:
            settings = {**rows.read_chat(db, chat_id).settings, **changes}
            db.execute(
                "UPDATE chats SET settings = ? WHERE id = ?", (json.dumps(settings), chat_id)
            )
            rows.touch_chat(db, chat_id)
            return rows.read_chat(db, chat_id)

    def choose(self, chat_id: int, key: str, text: str | None, act: str) -> Chat:
        """Set a text among the chat's settings, so that it can be undone; None takes it out."""
        with self._acting(chat_id, act) as (db, done):
            done.set("chats", chat_id, f"settings.{key}", text and storable(text))
            return rows.read_chat(db, chat_id)

    # Two windows.

    def claim(self, chat_id: int) -> bool:
        """Hold a chat to write into it; False if another living process holds it.

        Where nothing can be written there is nothing to hold: each act says so.
        """
        if self._database.is_read_only:
            return True
        with self._database.transaction() as db:
            if self._held_elsewhere(db, chat_id):
                return False
            self._recover(db)  # whoever held it may have died since this file was opened
            db.execute("UPDATE chats SET holder = ? WHERE id = ?", (self._presence.name, chat_id))
            return True

    def let_go(self, chat_id: int) -> None:
        """Hold a chat no longer."""
        if self._database.is_read_only:
            return
        with self._database.transaction() as db:
            mine = (chat_id, self._presence.name)
            db.execute("UPDATE chats SET holder = NULL WHERE id = ? AND holder = ?", mine)

    def version(self) -> int:
        """Return a number that changes when another process has written into the library."""
        return int(self._database.rows("PRAGMA data_version")[0][0])

    # Reading a chat's tree.

    def entries(self, chat_id: int, known: Mapping[int, Entry] | None = None) -> list[Entry]:
        """Return the active path, from the root to the head.

        Of entries that are `known`, by their ids, nothing is read but what an act can change.
        """
        parents, head = self._parents(chat_id)
        path = list(rows.way_up(parents, head))[::-1]
        known = known or {}
        new = self._read([entry_id for entry_id in path if entry_id not in known])
        marks = {
            entry_id: (bool(hidden), bool(pinned), label)
            for entry_id, hidden, pinned, label in self._database.rows(
                "SELECT id, hidden, pinned, label FROM entries WHERE chat = ? "
                "AND (hidden OR pinned OR label IS NOT NULL)",
                chat_id,
            )
        }
        return [
            new.get(entry_id) or _acted_on(known[entry_id], parents[entry_id], marks.get(entry_id))
            for entry_id in path
        ]

    def tail(self, chat_id: int, count: int, end: int | None = None) -> list[Entry]:
        """Return an entry (without one: the head) and those before it, at most so many."""
        found = self._database.rows(
            f"""
            WITH RECURSIVE up (id, place) AS (
                SELECT coalesce(?, head), 1 FROM chats WHERE id = ?
                UNION ALL
                SELECT entries.parent, place + 1 FROM up JOIN entries ON entries.id = up.id
                WHERE place < ? AND entries.parent IS NOT NULL
            )
            SELECT {ENTRY} FROM up JOIN entries ON entries.id = up.id ORDER BY place DESC
            """,
            *(end, chat_id, count),
        )
        return [rows.to_entry(row) for row in found]

    def versions(self, entry_id: int) -> list[Entry]:
        """Return all versions of an entry's message, this one among them, oldest first."""
        found = self._database.rows(
            f"SELECT {ENTRY} FROM entries WHERE deleted IS NULL AND "
            "(chat, slot) = (SELECT chat, slot FROM entries WHERE id = ?) ORDER BY id",
            entry_id,
        )
        return [rows.to_entry(row) for row in found]

    def version_counts(self, chat_id: int) -> dict[int, list[int]]:
        """Return the ids of all versions, oldest first, of each slot that has several."""
        later: dict[int, list[int]] = {}
        for slot, entry_id in self._database.rows(
            "SELECT slot, id FROM entries WHERE chat = ? AND slot <> id AND deleted IS NULL "
            "ORDER BY slot, id",
            chat_id,
        ):
            if type(slot) is int:  # another one is told where its entry is read
                later.setdefault(slot, []).append(entry_id)
        first = self._database.rows(
            "SELECT id FROM entries WHERE id IN (SELECT value FROM json_each(?)) "
            "AND deleted IS NULL",
            json.dumps([*later]),
        )
        for (slot,) in first:
            later[slot].insert(0, slot)
        return {slot: ids for slot, ids in later.items() if len(ids) > 1}

    def tree(self, chat_id: int) -> list[Node]:
        """Return every entry of a chat that is not in the bin, parents before their children."""
        head = self._head(chat_id)
        found = self._database.rows(
            f"SELECT id, parent, slot, kind, speaker, substr(text, 1, {BEGINNING}), label "
            "FROM entries WHERE chat = ? AND deleted IS NULL",
            chat_id,
        )
        found.sort()  # by the id, which costs less here than in SQL
        for entry_id, *row in found:
            rows.expect_node(entry_id, *row)
        path = set(rows.way_up({row[0]: row[1] for row in found}, head))
        return [Node._make((*row, row[0] in path)) for row in found]

    def bin(self, chat_id: int) -> list[Entry]:
        """Return the entries of a chat that lie in the bin, the one deleted last first."""
        found = self._database.rows(
            f"SELECT {ENTRY} FROM entries WHERE chat = ? AND deleted IS NOT NULL "
            "ORDER BY deleted DESC",
            chat_id,
        )
        return [rows.to_entry(row) for row in found]

    def search(self, words: str, *, chat_id: int | None = None, limit: int = 200) -> list[Hit]:
        """Return where all these words stand together, newest first: in a chat, or in all."""
        return search.search(self._database, words, chat_id, limit)

    # Writing into a chat's tree.

    def append(
        self,
        chat_id: int,
        draft: Draft,
        *,
        parent: int | Unset | None = UNSET,
        act: str = "",
    ) -> Entry:
        """Put an entry after `parent` (without it: the head) and move the head to it.

        Raises:
            UserError: The chat or the parent is gone, or another process holds the chat.
        """
        with self._acting(chat_id, act or _named("Write", draft.kind, draft.speaker)) as (db, done):
            if parent is UNSET:
                parent = rows.read_head(db, chat_id)
            elif parent is not None:
                rows.expect_in_chat(db, chat_id, parent)
            writer = self._writer(draft.status)
            entry_id = rows.insert_entry(db, chat_id, parent, draft, writer=writer)
            done.set_head(entry_id)
            return rows.read_entry(db, entry_id)

    def append_all(self, chat_id: int, drafts: Sequence[Draft], *, act: str) -> Entry:
        """Put entries after the head, in one act; return the last one."""
        with self._acting(chat_id, act) as (db, done):
            return rows.read_entry(db, tree.append_all(db, done, chat_id, drafts))

    def write(
        self,
        entry_id: int,
        text: str,
        *,
        status: Status,
        tokens: int,
        length: Length | Unset | None = UNSET,
    ) -> Entry:
        """Give an entry that is streaming its text so far, or its final one.

        Without `length` the hint stays as it is.

        Raises:
            UserError: The entry is gone.
        """
        with self._database.transaction() as db:
            old = rows.read_entry(db, entry_id)
            text = storable(text)
            if old.status != "streaming":
                raise ValueError("a text that has ended is never overwritten: add a version")
            db.execute(
                "UPDATE entries SET text = ?, status = ?, writer = ?, tokens = ?, length = ? "
                "WHERE id = ?",
                (
                    text,
                    status,
                    self._writer(status),
                    tokens,
                    old.length if length is UNSET else length,
                    entry_id,
                ),
            )
            return rows.read_entry(db, entry_id)

    def set_lengths(self, lengths: Mapping[int, tuple[int, Length | None]]) -> list[Entry]:
        """Give entries that have ended their tokens and their hints, and return them."""
        with self._database.transaction() as db:
            for entry_id, (tokens, length) in lengths.items():
                db.execute(
                    "UPDATE entries SET tokens = ?, length = ? WHERE id = ?",
                    (tokens, length, entry_id),
                )
            return [rows.read_entry(db, entry_id) for entry_id in lengths]

    def drop(self, entry_id: int) -> None:
        """Forget an entry that was to be streamed and of which nothing has come."""
        with self._database.transaction() as db:
            _drop(db, rows.chat_of(db, entry_id), entry_id)

    def add_version(self, entry_id: int, draft: Draft, *, keep: bool, act: str) -> Entry:
        """Put another version of a message into the place of one of the active path.

        Args:
            entry_id: The version that the story shows now.
            draft: The new one.
            keep: Whether what follows comes after the new version too; else it stays behind,
                on the branch of the old one.
            act: What this is called when it is undone.
        """
        with self._acting_on(entry_id, act) as (db, done, entry):
            writer = self._writer(draft.status)
            version = tree.add_version(db, done, entry, draft, keep=keep, writer=writer)
            return rows.read_entry(db, version)

    def choose_version(self, entry_id: int, version_id: int, *, keep: bool) -> None:
        """Put another version of a message that there is into the place of this one."""
        with self._acting_on(entry_id, "Choose a version") as (db, act, entry):
            tree.choose_version(db, act, entry, rows.read_entry(db, version_id), keep=keep)

    def insert(self, chat_id: int, after: int | None, draft: Draft, *, act: str = "") -> Entry:
        """Put a new message after one of the active path, or (None) before all of them."""
        name = act or _named("Insert", draft.kind, draft.speaker)
        with self._acting(chat_id, name) as (db, done):
            return rows.read_entry(db, tree.insert(db, done, chat_id, after, draft))

    def delete(self, entry_ids: Sequence[int]) -> None:
        """Put messages into the bin; what follows them stays."""
        if not entry_ids:
            return
        what = "Delete a message" if len(entry_ids) == 1 else f"Delete {len(entry_ids)} messages"
        with self._acting_on(entry_ids[0], what) as (db, act, _):
            for entry_id in entry_ids:
                tree.delete(db, act, rows.read_entry(db, entry_id))

    def restore(self, entry_id: int) -> None:
        """Take a message out of the bin, and go there."""
        with self._acting_on(entry_id, "Take a message out of the bin") as (db, act, entry):
            tree.restore(db, act, entry)

    def move(self, entry_id: int, *, up: bool) -> None:
        """Let a message change places with the one before it, or after it."""
        with self._acting_on(entry_id, "Move a message") as (db, act, entry):
            (tree.move_up if up else tree.move_down)(db, act, entry)

    def merge(self, entry_id: int, joint: str = "\n\n") -> Entry:
        """Make one message of this one and the next, and return it."""
        with self._acting_on(entry_id, "Merge two messages") as (db, act, entry):
            return rows.read_entry(db, tree.merge(db, act, entry, joint))

    def split(self, entry_id: int, at: int) -> tuple[Entry, Entry]:
        """Make two messages of one, the second from character `at` on, and return them."""
        with self._acting_on(entry_id, "Split a message") as (db, act, entry):
            one, two = tree.split(db, act, entry, at)
            return rows.read_entry(db, one), rows.read_entry(db, two)

    def hide(self, entry_id: int, hidden: bool) -> None:
        """Keep a message from the model, or let it read it again."""
        name = "Hide a message from the model" if hidden else "Show a message to the model"
        with self._acting_on(entry_id, name) as (_, act, entry):
            act.set("entries", entry.id, "hidden", int(hidden))

    def pin(self, entry_id: int, pinned: bool) -> None:
        """Keep a message in the prompt however old it is, or no longer."""
        with self._acting_on(entry_id, "Pin a message" if pinned else "Unpin a message") as (
            _,
            act,
            entry,
        ):
            act.set("entries", entry.id, "pinned", int(pinned))

    def set_label(self, entry_id: int, label: str | None) -> None:
        """Name a place in the tree: a bookmark, a checkpoint, a branch; None takes it away."""
        name = "Bookmark set" if label else "Bookmark removed"
        with self._acting_on(entry_id, name) as (_, act, entry):
            act.set("entries", entry.id, "label", storable(label) if label else None)

    def go_to(self, entry_id: int | None, chat_id: int, *, exactly: bool = False) -> None:
        """Go to another branch: to where the story went on from this entry, or to it exactly.

        None goes before the first entry.
        """
        with self._acting(chat_id, "Go to another place") as (db, act):
            if entry_id is not None:
                rows.expect_in_chat(db, chat_id, entry_id)
                entry_id = entry_id if exactly else tree.leaf(db, entry_id)
            act.set_head(entry_id)

    # Undo.

    def undo(self, chat_id: int) -> str | None:
        """Take the last act back; its name, or None if nothing was done."""
        with self._writing(chat_id, used=False) as db:
            return acts.undo(db, chat_id)

    def redo(self, chat_id: int) -> str | None:
        """Do again what was taken back last; its name, or None if nothing was."""
        with self._writing(chat_id, used=False) as db:
            return acts.redo(db, chat_id)

    def next_undo_redo(self, chat_id: int) -> tuple[str | None, str | None]:
        """Return what undo and redo would act on."""
        with self._database.transaction() as db:
            return acts.next_names(db, chat_id)

    # The composer's.

    def draft(self, chat_id: int) -> str:
        """Return what was typed in this chat and not sent."""
        found = self._database.rows("SELECT draft FROM chats WHERE id = ?", chat_id)
        draft = rows.the_one(found, "chat", chat_id)[0] or ""
        return draft.decode(errors="replace") if isinstance(draft, bytes) else str(draft)

    def save_draft(self, chat_id: int, text: str) -> bool:
        """Keep what was typed, an empty text forgets it; return False if the chat is gone."""
        with self._database.transaction() as db:
            change = "UPDATE chats SET draft = ? WHERE id = ?"
            return bool(db.execute(change, (storable(text), chat_id)).rowcount)

    def history(self) -> list[str]:
        """Return what was sent in all chats, oldest first."""
        found = self._database.rows("SELECT text FROM history ORDER BY id")
        return [text for (text,) in found if isinstance(text, str)]

    def add_history(self, text: str) -> None:
        """Remember a text that was sent; an earlier same one moves to the end."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM history WHERE text = ?", (storable(text),))
            db.execute(
                "INSERT INTO history (id, text) VALUES (?, ?)",
                (rows.new_id(db, "history"), storable(text)),
            )
            db.execute(
                "DELETE FROM history WHERE id NOT IN "
                "(SELECT id FROM history ORDER BY id DESC LIMIT ?)",
                (_HISTORY,),
            )

    # The file.

    def tidy(self) -> list[str]:
        """Return what is wrong in the file, a sentence each; of a sound one, make the day's copy.

        What has lain in the bin for too long is erased, once a copy of the library is a day old
        that was made when it had lain there for too long already: a clock that runs ahead for
        a while erases nothing.
        """
        if problems := look_after(self._database):
            return problems
        now = time.time()
        passed = max((c.made for c in backups(self.path) if c.made <= now - _DAY), default=0.0)
        with self._database.transaction() as db:
            _empty_bin(db, passed - BIN_DAYS * _DAY)
        return []

    def check(self) -> list[str]:
        """Return what is wrong in the file, a sentence each."""
        return check(self._database)

    def close(self) -> None:
        """Close the file; what this process was streaming is cut. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._database.is_read_only:
            self._database.close()
            return
        try:
            with self._database.transaction() as db:
                _end_streams(db, [self._presence.name])
                db.execute(
                    "UPDATE chats SET holder = NULL WHERE holder = ?", (self._presence.name,)
                )
        finally:
            self._presence.close()
            self._database.close()

    def _recover(self, db: Connection) -> None:
        """End what the dead were streaming."""
        dead = [name for name in rows.stream_writers(db) if not self._presence.is_alive(name)]
        _end_streams(db, dead)
        self._presence.sweep()

    def _writer(self, status: Status) -> str | None:
        return self._presence.name if status == "streaming" else None

    def _held_elsewhere(self, db: Connection, chat_id: int) -> bool:
        found = db.execute("SELECT holder FROM chats WHERE id = ?", (chat_id,)).fetchall()
        holder = rows.the_one(found, "chat", chat_id)[0]
        return holder not in (None, self._presence.name) and self._presence.is_alive(holder)

    @contextmanager
    def _writing(self, chat_id: int, *, used: bool = True) -> Iterator[Connection]:
        with self._database.transaction() as db:
            if self._held_elsewhere(db, chat_id):
                raise UserError(HELD_ELSEWHERE)
            yield db
            if used:
                rows.touch_chat(db, chat_id)

    @contextmanager
    def _acting(
        self, chat_id: int, name: str, *, used: bool = True
    ) -> Iterator[tuple[Connection, Act]]:
        """Begin an act; one that is about the chat, not of its story, leaves it as last `used`."""
        with self._writing(chat_id, used=used) as db, acting(db, chat_id, name) as act:
            yield db, act

    @contextmanager
    def _acting_on(self, entry_id: int, name: str) -> Iterator[tuple[Connection, Act, Entry]]:
        [(chat_id,)] = self._database.rows("SELECT chat FROM entries WHERE id = ?", entry_id) or [
            (None,)
        ]
        if chat_id is None:
            raise rows.gone("entry", entry_id)
        with self._acting(chat_id, name) as (db, act):
            yield db, act, rows.read_entry(db, entry_id)

    def _read(self, entry_ids: Sequence[int]) -> dict[int, Entry]:
        found = self._database.rows(
            f"SELECT {ENTRY} FROM entries WHERE id IN (SELECT value FROM json_each(?))",
            json.dumps(entry_ids),
        )
        return {row[0]: rows.to_entry(row) for row in found}

    def _parents(self, chat_id: int) -> tuple[dict[int, int | None], int | None]:
        """Return what each entry of a chat follows, and the chat's head.

        A walk in SQL takes twice as long as reading the index whole.
        """
        head = self._head(chat_id)
        found = self._database.rows("SELECT id, parent FROM entries WHERE chat = ?", chat_id)
        return {entry_id: parent for entry_id, parent in found}, head

    def _head(self, chat_id: int) -> int | None:
        found = self._database.rows("SELECT head FROM chats WHERE id = ?", chat_id)
        return rows.head_of(chat_id, rows.the_one(found, "chat", chat_id)[0])

    def _change(
        self, chat_id: int, name: str, column: str, value: str | int, *, used: bool = True
    ) -> Chat:
        with self._acting(chat_id, name, used=used) as (db, act):
            act.set("chats", chat_id, column, value)
            return rows.read_chat(db, chat_id)


def _acted_on(
    known: Entry, parent: int | None, marks: tuple[bool, bool, str | None] | None
) -> Entry:
    """Return an entry that is known, with what acts may have changed of it."""
    hidden, pinned, label = marks = marks or (False, False, None)
    if known.parent == parent and (known.hidden, known.pinned, known.label) == marks:
        return known
    return replace(known, parent=parent, hidden=hidden, pinned=pinned, label=label)


def _named(verb: str, kind: Kind, speaker: str) -> str:
    """Return what an act is called: `Write Mara's message`, `Insert a note`."""
    if kind == "message":
        return f"{verb} {speaker}'s message"
    if kind in ("enter", "leave"):
        return f"Let {speaker} {kind}"
    return f"{verb} {speaker}'s words out of character" if kind == "ooc" else f"{verb} a {kind}"


def _blank(chat: Chat) -> Card:
    """Return the scene of a chat in which nobody is but the user."""
    cast = tuple(each for each in chat.scene.characters if each.user and each.name == chat.user)
    return Card(characters=cast)


def _name_of(scene: Card) -> str:
    """Return what a chat is called that nobody has named: by its scene's title, or its cast."""
    names = ", ".join(each.name for each in scene.characters)
    return scene.title.strip() or names or "Untitled"


def _begin(db: Connection, chat_id: int, scene: Card, user: str) -> None:
    """Put into a new chat what its story begins with."""
    head: int | None = None
    for first, *others in beginning(scene, user):
        slot = rows.insert_entry(db, chat_id, head, first)
        for other in others:
            rows.insert_entry(db, chat_id, head, other, slot=slot)
        head = slot
    db.execute("UPDATE chats SET head = ? WHERE id = ?", (head, chat_id))


def _end_streams(db: Connection, writers: Sequence[str]) -> None:
    """Cut what these writers were streaming; of what nothing has come, nothing stays."""
    for entry_id, chat_id, text in rows.streams_of(db, writers):
        if isinstance(text, str) and not text.strip():
            _drop(db, chat_id, entry_id)
        else:
            db.execute("UPDATE entries SET status = 'cut', writer = NULL WHERE id = ?", (entry_id,))


def _drop(db: Connection, chat_id: int, entry_id: int) -> None:
    acts.forget_streamed(db, chat_id, entry_id)
    [(parent,)] = db.execute(
        "SELECT nullif(parent, id) FROM entries WHERE id = ?", (entry_id,)
    ).fetchall()
    db.execute("UPDATE chats SET head = ? WHERE head = ?", (parent, entry_id))
    db.execute("UPDATE entries SET parent = ? WHERE parent = ?", (parent, entry_id))
    db.execute("DELETE FROM entries WHERE id = ?", (entry_id,))


def _empty_bin(db: Connection, before: float) -> None:
    """Erase what was deleted before this time, and the acts that name it."""
    rows.erase_chats(db, "deleted < ?", before)
    erased = db.execute("SELECT DISTINCT chat FROM entries WHERE deleted < ?", (before,)).fetchall()
    for (chat_id,) in erased:
        ids = db.execute("SELECT id FROM entries WHERE chat = ? AND deleted < ?", (chat_id, before))
        acts.forget(db, chat_id, {entry_id for (entry_id,) in ids})
        db.execute("DELETE FROM entries WHERE chat = ? AND deleted < ?", (chat_id, before))
