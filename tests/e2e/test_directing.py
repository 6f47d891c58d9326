"""A scene at a terminal that plays itself, and is directed: all that one does becomes blocks."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest

from shoritui.story import Entry, Library
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.slow

CARD = """
title = "The Clock Tower"
scenario = "Five people wait in a clock tower for the bell to be mended."

[[character]]
name = "Wren"
user = true
description = "Keeps the tower's book."

[[character]]
name = "Odo"
description = "Mends the bell."

[[character]]
name = "Mara"
description = "Owns the tower, and says so."

[[character]]
name = "Bo"
description = "Carries the tools."

[[character]]
name = "Ines"
description = "Has come to listen."

[[lore]]
name = "The hollow bell"
keys = ["quicksilver"]
text = "The bell is hollow, and somebody has filled its rim with quicksilver."

[[message]]
speaker = "Odo"
text = "\\"Give me the small hammer.\\""
"""
SETTINGS = """
n_ctx = 1024
max_tokens = 24
length = "nano"
turns = "model"
memory = "off"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.toml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "tower.toml").write_text(CARD, encoding="utf-8")
    return tmp_path


def story(home: Path) -> list[Entry]:
    with closing(Library(home / "data" / "library.db")) as library:
        chat = library.last_chat()
        return library.entries(chat.id) if chat else []


def test_a_scene_plays_itself_and_is_directed(home: Path) -> None:
    command = (sys.executable, "-m", "shoritui", "chat", str(home / "tower.toml"))
    with Terminal(command, env={"SHORITUI_HOME": str(home), "TEXTUAL_ANIMATIONS": "none"}) as app:

        def until_there_are(count: int, kind: str = "message") -> list[Entry]:
            def are() -> bool:
                found = [entry for entry in story(home) if entry.kind == kind]
                return len(found) >= count and all(e.status != "streaming" for e in found)

            app.wait_for(lambda _: are())
            return [entry for entry in story(home) if entry.kind == kind]

        def command_is_done(words: str, count: int, kind: str) -> None:
            app.press(words, "enter")
            until_there_are(count, kind)

        def shows(*words: str) -> None:
            app.wait_for(lambda text: all(word in text for word in words))

        shows("as Wren", "ready")
        app.press("/auto 10", "enter")
        until_there_are(11)
        shows("ready")
        command_is_done("/leave Ines goes down the stairs", 1, "leave")
        app.press("/auto 10", "enter")
        told = until_there_are(21)
        shows("ready")
        assert {entry.speaker for entry in told[11:]} <= {"Odo", "Mara", "Bo"}
        command_is_done("/enter Ines comes back with bread", 1, "enter")

        app.press("Where is the quicksilver?", "enter")
        until_there_are(23)
        shows("ready")
        app.press("/why", "enter")
        shows("Why this lore", "The hollow bell", "Where is the quicksilver?")
        app.press("escape")
        app.wait_for(lambda text: "Why this lore" not in text)

        command_is_done("/ooc How many are here?", 2, "ooc")
        shows("Out of character", "How many are here?", "ready")
        command_is_done("/note --sticky Everybody speaks very softly.", 1, "note")
        app.press("/summarise", "enter")
        shows("To be read in place of", "^s keep")
        app.press("ctrl+s")
        [summary] = until_there_are(1, "lore")
        assert summary.details.span is not None

        app.press("f7")
        shows("What the model reads next", "because a summary stands for")
        shows("stands for entries 1 to")
        sought = {"description · Ines", "enter 24 · Ines", "The hollow bell", "ooc 27 · Wren"}
        sought |= {"note 29", "Everybody speaks very softly.", "a summary stands for it:"}
        for key in [*["pagedown"] * 8, *["pageup"] * 8] * 4:
            app.press(key)
            app.read(0.1)
            sought = {words for words in sought if words not in app.text}
            if not sought:
                break
        assert not sought
        app.press("escape")
        app.wait_for(lambda text: "What the model reads next" not in text)
        app.press("ctrl+q")
        assert app.wait_until_ended() == 0
