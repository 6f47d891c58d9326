"""All chats of a user in one SQLite file: what a method has returned is on the disk.

It does not know models, prompts or screens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from sqlite3 import Connection

from shoritui.blockml import Length
from shoritui.cards import Card, Opening, card_to_json
from shoritui.story import rows as table
from shoritui.story.database import Database
from shoritui.story.model import JSON, UNSET, Chat, Entry, Kind, Status, Unset
from shoritui.story.presence import Presence
from shoritui.story.rows import CHAT, ENTRY, storable

_HISTORY = 1000
"""Texts the composer remembers."""


class Library:
    """The chats, their trees of entries, and what the composer remembers.

    A library may be used from any thread, by one at a time: its owner runs every call in
    the same single-threaded executor. Several processes may have the same file open.

    Nothing is erased but by `delete_chat`: deleting and regenerating only move a chat's head.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, or creates it for its owner alone (mode 0600).

        Entries that a process left streaming when it died become cut; those of a living
        one stay as they are.

        Raises:
            UserError: The file is no library, damaged, newer or locked. It is left as it is.
        """
        self._database = Database(path.expanduser().absolute())
        self._closed = False
        try:
            with self._database.transaction() as db:
                self._presence = Presence(self._database.path)
                self._recover(db)
        except BaseException:
            self._database.close()
            raise

    # Chats.

    def create_chat(self, scene: Card, user: str) -> Chat:
        """A new chat whose story begins with the scene's opening."""
        name = scene.title.strip() or ", ".join(each.name for each in scene.characters)
        with self._database.transaction() as db:
            now = table.now(db)
            cursor = db.execute(
                "INSERT INTO chats (name, scene, user, settings, created, updated) "
                "VALUES (?, ?, ?, '{}', ?, ?)",
                (storable(name or "Untitled"), card_to_json(scene), storable(user), now, now),
            )
            chat_id = cursor.lastrowid
            assert chat_id is not None
            self._append_opening(db, chat_id, scene.messages)
            return table.read_chat(db, chat_id)

    def chats(self) -> list[Chat]:
        """Every chat, the one used last first."""
        rows = self._database.rows(f"SELECT {CHAT} FROM chats ORDER BY updated DESC")
        return [table.to_chat(row) for row in rows]

    def chat(self, chat_id: int) -> Chat:
        """One chat.

        Raises:
            UserError: There is none; another process may have deleted it.
        """
        rows = self._database.rows(f"SELECT {CHAT} FROM chats WHERE id = ?", chat_id)
        return table.to_chat(table.the_one(rows, "chat", chat_id))

    def last_chat(self) -> Chat | None:
        """The chat used last."""
        rows = self._database.rows(f"SELECT {CHAT} FROM chats ORDER BY updated DESC LIMIT 1")
        return table.to_chat(rows[0]) if rows else None

    def delete_chat(self, chat_id: int) -> None:
        """Erases a chat and everything in it."""
        with self._database.transaction() as db:
            db.execute("UPDATE chats SET head = NULL WHERE id = ?", (chat_id,))
            db.execute("DELETE FROM chats WHERE id = ?", (chat_id,))

    def touch(self, chat_id: int) -> None:
        """Makes the chat the one used last."""
        self._change_chat(chat_id)

    def rename_chat(self, chat_id: int, name: str) -> Chat:
        """Gives the chat another name."""
        return self._change_chat(chat_id, name=storable(name))

    def set_user(self, chat_id: int, name: str) -> Chat:
        """Changes the name the user speaks as."""
        return self._change_chat(chat_id, user=storable(name))

    def update_scene(self, chat_id: int, scene: Card) -> Chat:
        """Gives the chat another scene; its entries stay."""
        return self._change_chat(chat_id, scene=card_to_json(scene))

    def update_settings(self, chat_id: int, **changes: JSON) -> Chat:
        """Sets these settings of the chat; the others stay."""
        with self._database.transaction() as db:
            settings = {**table.read_chat(db, chat_id).settings, **changes}
            table.change_chat(db, chat_id, settings=json.dumps(settings))
            return table.read_chat(db, chat_id)

    # Entries.

    def entries(self, chat_id: int) -> list[Entry]:
        """The active path, from the root to the head."""
        rows = self._database.rows(
            f"""
            WITH RECURSIVE path (step, place) AS (
                SELECT head, 0 FROM chats WHERE id = ? AND head IS NOT NULL
                UNION ALL
                SELECT parent, place + 1 FROM path JOIN entries ON id = step
                WHERE parent IS NOT NULL
            )
            SELECT {ENTRY} FROM path JOIN entries ON id = step ORDER BY place DESC
            """,
            chat_id,
        )
        return [Entry(*row) for row in rows]

    def append(
        self,
        chat_id: int,
        kind: Kind,
        speaker: str,
        text: str,
        *,
        length: Length | None = None,
        status: Status = "complete",
        tokens: int = 0,
        parent: int | Unset | None = UNSET,
    ) -> Entry:
        """Puts an entry after `parent` and moves the head to it.

        Args:
            chat_id: The chat.
            kind: What the entry is.
            speaker: Who says it; empty for kinds that nobody says.
            text: Its text.
            length: The length hint; None is the dynamic mode.
            status: `streaming` if `write` will go on with it.
            tokens: Tokens of the text; 0 if nobody has counted them.
            parent: The entry before it; None begins another story in the same chat.
                Without it: the head.

        Raises:
            UserError: The chat or the parent is gone.
        """
        with self._database.transaction() as db:
            head = table.read_head(db, chat_id)
            if parent is UNSET:
                parent = head
            elif parent is not None:
                table.expect_in_chat(db, chat_id, parent)
            entry_id = table.insert_entry(
                db,
                chat_id,
                parent,
                kind,
                speaker,
                text,
                length=length,
                status=status,
                writer=self._writer(status),
                tokens=tokens,
            )
            table.change_chat(db, chat_id, head=entry_id)
            return table.read_entry(db, entry_id)

    def write(
        self,
        entry_id: int,
        text: str,
        *,
        status: Status,
        tokens: int,
        length: Length | Unset | None = UNSET,
    ) -> Entry:
        """Gives an entry its text so far (`streaming`) or its final one.

        Without `length` the hint stays as it is.

        Raises:
            UserError: The entry is gone.
        """
        with self._database.transaction() as db:
            if length is UNSET:
                length = table.read_entry(db, entry_id).length
            db.execute(
                "UPDATE entries SET text = ?, status = ?, writer = ?, tokens = ?, length = ? "
                "WHERE id = ?",
                (storable(text), status, self._writer(status), tokens, length, entry_id),
            )
            return table.read_entry(db, entry_id)

    def set_head(self, chat_id: int, entry_id: int | None) -> None:
        """Ends the active path at another entry of the chat, or before all of them (None).

        Raises:
            UserError: The chat is gone, or the entry is not one of it.
        """
        with self._database.transaction() as db:
            if entry_id is not None:
                table.expect_in_chat(db, chat_id, entry_id)
            table.change_chat(db, chat_id, head=entry_id)

    def alternatives(self, entry_id: int) -> list[Entry]:
        """The entries that follow the same parent, this one among them, oldest first."""
        rows = self._database.rows(
            f"""
            SELECT {ENTRY} FROM entries
            WHERE chat = (SELECT chat FROM entries WHERE id = ?)
              AND parent IS (SELECT parent FROM entries WHERE id = ?)
            ORDER BY id
            """,
            entry_id,
            entry_id,
        )
        return [Entry(*row) for row in rows]

    # The composer's.

    def draft(self, chat_id: int) -> str:
        """What was typed in this chat and not sent."""
        rows = self._database.rows("SELECT draft FROM chats WHERE id = ?", chat_id)
        return str(table.the_one(rows, "chat", chat_id)[0])

    def save_draft(self, chat_id: int, text: str) -> None:
        """Keeps what was typed; an empty text forgets it."""
        with self._database.transaction() as db:
            db.execute("UPDATE chats SET draft = ? WHERE id = ?", (storable(text), chat_id))

    def history(self) -> list[str]:
        """What was sent in all chats, oldest first."""
        return [row[0] for row in self._database.rows("SELECT text FROM history ORDER BY id")]

    def add_history(self, text: str) -> None:
        """Remembers a text that was sent; an earlier same one moves to the end."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM history WHERE text = ?", (storable(text),))
            db.execute("INSERT INTO history (text) VALUES (?)", (storable(text),))
            db.execute(
                "DELETE FROM history WHERE id NOT IN "
                "(SELECT id FROM history ORDER BY id DESC LIMIT ?)",
                (_HISTORY,),
            )

    def close(self) -> None:
        """Closes the file; what this process was streaming is cut. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            with self._database.transaction() as db:
                table.cut_streams(db, [self._presence.name])
        finally:
            self._presence.close()
            self._database.close()

    def _recover(self, db: Connection) -> None:
        """Cuts what the dead were streaming."""
        dead = [name for name in table.stream_writers(db) if not self._presence.is_alive(name)]
        table.cut_streams(db, dead)
        self._presence.sweep()

    def _append_opening(self, db: Connection, chat_id: int, messages: Sequence[Opening]) -> None:
        head: int | None = None
        for message in messages:
            head = table.insert_entry(
                db,
                chat_id,
                head,
                "message",
                message.speaker,
                message.text,
                length=message.length,
                status="complete",
                writer=None,
                tokens=0,
            )
        table.change_chat(db, chat_id, head=head)

    def _writer(self, status: Status) -> str | None:
        return self._presence.name if status == "streaming" else None

    def _change_chat(self, chat_id: int, **columns: str) -> Chat:
        with self._database.transaction() as db:
            table.change_chat(db, chat_id, **columns)
            return table.read_chat(db, chat_id)
