"""The library's tables, as the steps that lead from an empty file to today's.

A step that was ever released never changes; a new need is a new step at the end.
"""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE chats (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL,
            scene TEXT NOT NULL,      -- a card as JSON
            user TEXT NOT NULL,
            head INTEGER REFERENCES entries (id),
            settings TEXT NOT NULL,   -- a JSON object
            created REAL NOT NULL,
            updated REAL NOT NULL
        )
        """,
        """
        CREATE TABLE entries (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            chat INTEGER NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
            parent INTEGER REFERENCES entries (id),
            kind TEXT NOT NULL,
            speaker TEXT NOT NULL,
            length TEXT,
            text TEXT NOT NULL,
            status TEXT NOT NULL,
            writer TEXT,              -- while streaming: the process that writes it
            created REAL NOT NULL,
            tokens INTEGER NOT NULL
        )
        """,
        "CREATE INDEX chats_by_head ON chats (head)",
        "CREATE INDEX chats_by_use ON chats (updated)",
        "CREATE INDEX entries_of_chat ON entries (chat, parent)",
        "CREATE INDEX entries_after ON entries (parent)",
        "CREATE INDEX entries_streaming ON entries (writer) WHERE status = 'streaming'",
    ),
    (
        "ALTER TABLE chats ADD COLUMN draft TEXT NOT NULL DEFAULT ''",
        "CREATE TABLE history (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL)",
    ),
    (
        # The version tree: entries of one slot are versions of one message.
        "ALTER TABLE entries ADD COLUMN slot INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE entries ADD COLUMN origin TEXT NOT NULL DEFAULT '{}'",  # a JSON object
        "ALTER TABLE entries ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0",  # from the prompt
        "ALTER TABLE entries ADD COLUMN label TEXT",  # a bookmark or a branch's name
        "ALTER TABLE entries ADD COLUMN visited REAL NOT NULL DEFAULT 0",  # last time as head
        "ALTER TABLE entries ADD COLUMN deleted REAL",  # since when it lies in the bin
        # Until here whatever followed the same entry, by the same speaker, was a version of it.
        """
        UPDATE entries SET visited = created, slot = (
            SELECT min(other.id) FROM entries AS other
            WHERE other.chat = entries.chat AND other.parent IS entries.parent
              AND other.kind = entries.kind AND other.speaker = entries.speaker
        )
        """,
        "CREATE INDEX entries_of_slot ON entries (slot)",
        "CREATE INDEX entries_later_versions ON entries (chat, slot) "
        "WHERE slot <> id AND deleted IS NULL",
        "CREATE INDEX entries_told ON entries (chat, kind, deleted, slot)",
        "CREATE INDEX entries_marked ON entries (chat) WHERE hidden OR label IS NOT NULL",
        "CREATE INDEX entries_in_bin ON entries (deleted) WHERE deleted IS NOT NULL",
        "ALTER TABLE chats ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'",  # a JSON list
        "ALTER TABLE chats ADD COLUMN favourite INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE chats ADD COLUMN archived INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE chats ADD COLUMN deleted REAL",
        "ALTER TABLE chats ADD COLUMN holder TEXT",  # the process that has it open to write
        """
        CREATE TABLE acts (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            chat INTEGER NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            at REAL NOT NULL,
            changes TEXT NOT NULL,    -- JSON: [table, row, column, old, new], ...
            undone INTEGER NOT NULL DEFAULT 0
        )
        """,
        "CREATE INDEX acts_of_chat ON acts (chat, undone, id)",
        # Three characters at a time, so that every script is found, with spaces or without.
        "CREATE VIRTUAL TABLE words USING fts5 "
        "(text, content = 'entries', content_rowid = 'id', tokenize = 'trigram')",
        "INSERT INTO words (rowid, text) SELECT id, text FROM entries WHERE status <> 'streaming'",
        """
        CREATE TRIGGER words_of_new AFTER INSERT ON entries WHEN new.status <> 'streaming' BEGIN
            INSERT INTO words (rowid, text) VALUES (new.id, new.text);
        END
        """,
        """
        CREATE TRIGGER words_of_old AFTER DELETE ON entries WHEN old.status <> 'streaming' BEGIN
            INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
        END
        """,
        """
        CREATE TRIGGER words_of_ended AFTER UPDATE OF text, status ON entries
        WHEN old.status = 'streaming' AND new.status <> 'streaming' BEGIN
            INSERT INTO words (rowid, text) VALUES (new.id, new.text);
        END
        """,
        """
        CREATE TRIGGER words_of_changed AFTER UPDATE OF text, status ON entries
        WHEN old.status <> 'streaming' AND (new.status = 'streaming' OR new.text <> old.text) BEGIN
            INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
            INSERT INTO words (rowid, text)
                SELECT new.id, new.text WHERE new.status <> 'streaming';
        END
        """,
    ),
    (
        "ALTER TABLE entries ADD COLUMN details TEXT NOT NULL DEFAULT '{}'",  # a JSON object
        "ALTER TABLE entries ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0",  # it is never trimmed
        "DROP INDEX entries_marked",
        "CREATE INDEX entries_marked ON entries (chat) WHERE hidden OR pinned OR label IS NOT NULL",
    ),
)
"""What brings a file of version n to version n + 1; `user_version` counts the steps taken."""

VERSION = len(MIGRATIONS)
APPLICATION_ID = 0x53484F52
"""`SHOR` in the file's header: the file is a ShoriTUI library."""
