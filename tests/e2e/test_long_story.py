"""A story of 10,000 messages and three branches at a terminal: opened, read, found in, changed."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from shoritui.story import Draft, Entry, Library, rows
from tests.benchmarks._story import write_story
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.slow

MESSAGES = 10_000
PLACE = 37
OTHER = "Number 37 was told otherwise."


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with closing(Library(tmp_path / "data" / "library.db")) as library:
        chat = write_story(library, MESSAGES, ends="Zyxomma", characters=400)
        entry = library.entries(chat)[PLACE - 1]
        with library._database.transaction() as db:
            draft = Draft("message", entry.speaker, OTHER)
            rows.insert_entry(db, chat, entry.parent, draft, slot=entry.slot)
    return tmp_path


def story(home: Path) -> list[Entry]:
    with closing(Library(home / "data" / "library.db")) as library:
        return library.entries(library.summaries()[0].id)


def acts(home: Path) -> int:
    """How many acts stand that can be taken back."""
    uri = f"{(home / 'data' / 'library.db').as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as db:
        [count] = db.execute("SELECT count(*) FROM acts WHERE NOT undone").fetchone()
    return int(count)


def test_a_long_story_is_read_and_changed_like_a_short_one(home: Path) -> None:
    before = story(home)
    assert len(before) == MESSAGES
    words = " ".join(before[PLACE - 1].text.split()[:2])
    first = " ".join(before[PLACE - 2].text.split()[:2])
    command = (sys.executable, "-m", "shoritui", "chat")
    with Terminal(command, env={"SHORITUI_HOME": str(home), "TEXTUAL_ANIMATIONS": "none"}) as app:
        app.wait_for("Zyxomma")
        app.wait_for("ready")

        def act(key: str, count: int, *others: str) -> None:
            app.press(key, *others)
            app.wait_for(lambda _: acts(home) == count)

        app.press("alt+up", "g")
        app.wait_for("Number 0.")
        app.press("pagedown", "pagedown")
        app.wait_for(lambda text: "Number 0." not in text)
        app.press("G")
        app.wait_for("Zyxomma")
        app.press("ctrl+f", words, "enter")
        app.wait_for(lambda text: words in text and "1 of 1 messages" in text)
        act("l", 1)
        app.wait_for(OTHER)
        act("h", 2)
        app.wait_for(lambda text: OTHER not in text)
        for count, key in enumerate("vKdvJvKd", 3):
            act(key, count)
        changed = story(home)
        assert [entry.id for entry in changed] != [entry.id for entry in before]
        assert len(changed) == MESSAGES - 2
        for count in reversed(range(10)):
            act("ctrl+z", count)
        app.wait_for(lambda text: words in text and first in text)
        app.press("ctrl+q")
        assert app.wait_until_ended() == 0
    assert story(home) == before
