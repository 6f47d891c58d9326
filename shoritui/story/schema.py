"""The library's tables, as the steps that lead from an empty file to today's.

A step that was ever released never changes; a new need is a new step at the end.
"""

from __future__ import annotations

STEPS: tuple[tuple[str, ...], ...] = (
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
)
"""What brings a file of version n to version n + 1; `user_version` counts the steps taken."""

VERSION = len(STEPS)
APPLICATION_ID = 0x53484F52
"""`SHOR` in the file's header: the file is a ShoriTUI library."""
