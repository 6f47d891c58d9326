"""The library's file: who may read it, and what happens to one that cannot be read."""

from __future__ import annotations

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from shoritui.cards import card_to_json
from shoritui.errors import UserError
from shoritui.story import Draft, Library, backups, database, restore
from shoritui.story.migrations import MIGRATIONS
from tests.story.conftest import SCENE

# The tables as format 1 had them; a file of a user may look like this for ever.
FORMAT_1 = """
CREATE TABLE chats (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, scene TEXT NOT NULL,
    user TEXT NOT NULL, head INTEGER REFERENCES entries (id), settings TEXT NOT NULL,
    created REAL NOT NULL, updated REAL NOT NULL
);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    chat INTEGER NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    parent INTEGER REFERENCES entries (id), kind TEXT NOT NULL, speaker TEXT NOT NULL,
    length TEXT, text TEXT NOT NULL, status TEXT NOT NULL, writer TEXT,
    created REAL NOT NULL, tokens INTEGER NOT NULL
);
CREATE INDEX chats_by_head ON chats (head);
CREATE INDEX chats_by_use ON chats (updated);
CREATE INDEX entries_of_chat ON entries (chat, parent);
CREATE INDEX entries_after ON entries (parent);
CREATE INDEX entries_streaming ON entries (writer) WHERE status = 'streaming';
PRAGMA application_id = 0x53484F52;
PRAGMA user_version = 1;
"""


def refusal(path: Path) -> str:
    """The sentence about a file that is refused; the file and its folder stay as they were."""
    before = path.read_bytes()
    files = sorted(path.parent.iterdir())
    with pytest.raises(UserError) as raised:
        Library(path)
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == files
    assert str(path) in str(raised.value)
    return str(raised.value)


@pytest.fixture
def used(path: Path) -> Path:
    """A library with a long chat in it."""
    library = Library(path)
    chat = library.create_chat(SCENE, "Marisa")
    for number in range(100):
        library.append(chat.id, Draft("message", "Reimu", f"{number} " * 200))
    library.close()
    return path


def test_only_the_owner_may_read_it(path: Path) -> None:
    library = Library(path)
    library.create_chat(SCENE, "Marisa")
    files = list(path.parent.glob("library.db*"))
    assert any("writer" in file.name for file in files)
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert path.with_name("library.db-wal").exists()
    library.close()


def test_a_file_of_another_kind_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"Dear diary, " * 500)
    assert "move it away" in refusal(path)


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    assert "not a ShoriTUI library" in refusal(path)


def test_a_newer_format_is_left_alone(used: Path) -> None:
    with closing(sqlite3.connect(used)) as newer:
        newer.execute("PRAGMA user_version = 99")
    assert "format 99" in refusal(used)


def test_a_folder_in_its_place_is_told(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(UserError, match=str(path)):
        Library(path)


@pytest.mark.parametrize("start", [100, 4096, 3 * 4096])
def test_a_damaged_file_gives_sentences_and_no_reset(used: Path, start: int) -> None:
    content = used.read_bytes()
    damaged = content[:start] + b"\xa5" * (len(content) - start)
    used.write_bytes(damaged)
    with pytest.raises(UserError, match=str(used)), closing(Library(used)) as library:
        for chat in library.summaries():
            library.entries(chat.id)
    assert used.read_bytes() == damaged


def test_a_locked_file_is_told_after_some_patience(
    used: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.05)
    with closing(Library(used)) as library, closing(sqlite3.connect(used)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match="locked"):
            library.create_chat(SCENE, "Marisa")
        with pytest.raises(UserError, match="locked"):
            Library(used)
        assert len(library.summaries()) == 1
        other.rollback()
        library.create_chat(SCENE, "Marisa")
        assert len(library.summaries()) == 2


def test_an_older_format_is_brought_up_to_date(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as old:
        old.executescript(FORMAT_1)
        old.execute(
            "INSERT INTO chats VALUES (7, 'Old', ?, 'Marisa', NULL, '{\"a\": 1}', 5.0, 6.0)",
            (card_to_json(SCENE),),
        )
        old.execute(
            "INSERT INTO entries VALUES "
            "(3, 7, NULL, 'message', 'Reimu', 'short', 'Hm.', 'streaming', 'dead', 5.5, 2)"
        )
        old.execute("UPDATE chats SET head = 3")
        old.commit()
    for _ in range(2):
        library = Library(path)
        chat = library.chat(7)
        assert (chat.name, chat.scene, chat.settings) == ("Old", SCENE, {"a": 1})
        (entry,) = library.entries(7)
        assert (entry.text, entry.length, entry.status) == ("Hm.", "short", "cut")
        library.save_draft(7, "new")
        assert library.draft(7) == "new"
        library.add_history("x")
        assert library.history() == ["x"]
        library.close()


def test_a_migration_that_fails_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as old:
        old.executescript(FORMAT_1)
    steps = (MIGRATIONS[0], (*MIGRATIONS[1], "CREATE nonsense"))
    monkeypatch.setattr(database, "MIGRATIONS", steps)
    before = path.read_bytes()
    for _ in range(12):
        with pytest.raises(UserError, match=str(path)):
            Library(path)
    assert path.read_bytes() == before
    copies = backups(path)
    assert len(copies) == 10
    for copy in copies:
        assert stat.S_IMODE(copy.path.stat().st_mode) == 0o600
    monkeypatch.undo()
    restore(path, copies[-1].path)
    Library(path).close()


def test_two_threads_at_once_are_a_mistake_of_the_program(path: Path) -> None:
    with closing(database.Database(path, print)) as one, ThreadPoolExecutor(1) as other:
        with one.transaction():
            call = other.submit(one.rows, "SELECT 1")
            with pytest.raises(RuntimeError, match="same time"):
                call.result()
        assert one.rows("SELECT 1") == [(1,)]
