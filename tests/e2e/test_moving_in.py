"""An evening of somebody from SillyTavern: their card and lorebook in, their story out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shoritui.story import Entry, Library
from tests.e2e.terminal import Terminal
from tests.interop.cards.pictures import chunk, coded, picture

pytestmark = pytest.mark.slow

KEEPER: dict[str, Any] = {
    "spec": "chara_card_v2",
    "spec_version": "2.0",
    "data": {
        "name": "Ottoline",
        "description": "{{char}} keeps the tide gates of Low Harrow, and a ledger of every lie.",
        "personality": "dry, exact, fond of fools",
        "scenario": "{{user}} has missed the last ferry.",
        "first_mes": '"You have missed it," said {{char}}.',
        "mes_example": "<START>\n{{user}}: Is it late?\n{{char}}: It is Tuesday.",
        "alternate_greetings": ['{{char}} lifted the lamp. "Come in, {{user}}."'],
        "creator_notes": "Best read aloud.",
        "system_prompt": "",
        "post_history_instructions": "",
        "tags": ["harbour"],
        "creator": "an aunt",
        "character_version": "3",
        "extensions": {"talkativeness": "0.7", "fav": True, "aunt/mood": [1, None]},
    },
}
TIDES: dict[str, Any] = {
    "entries": {
        "0": {
            "uid": 0,
            "key": ["gate"],
            "keysecondary": [],
            "comment": "The iron gate",
            "content": "The iron gate opens for nobody after the ninth bell.",
            "order": 100,
            "position": 0,
            "probability": 100,
        }
    }
}


def story(home: Path) -> list[Entry]:
    with closing(Library(home / "data" / "library.db")) as library:
        chat = library.last_chat()
        return library.entries(chat.id) if chat else []


def lore(home: Path) -> list[str]:
    with closing(Library(home / "data" / "library.db")) as library:
        chat = library.last_chat()
        return [piece.name for piece in chat.scene.lore] if chat else []


def as_sillytavern_reads(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A chat by that program's rules: a header, then messages; a swipe is chosen by its number."""
    header, *messages = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    for message in messages:
        assert {"name", "is_user", "mes", "send_date"} <= message.keys()
        if "swipes" in message:
            assert message["swipes"][message["swipe_id"]] == message["mes"]
    return header, messages


def test_an_evening_with_a_card_and_a_lorebook_of_sillytaverns(tmp_path: Path) -> None:
    home, theirs = tmp_path / "home", tmp_path / "default-user"
    (home / "config").mkdir(parents=True)
    (home / "config" / "settings.toml").write_text(
        'n_ctx = 2048\nmax_tokens = 24\nlength = "nano"\n'
    )
    (theirs / "characters").mkdir(parents=True)
    (theirs / "worlds").mkdir()
    (theirs / "characters" / "Ottoline.png").write_bytes(
        picture(chunk(b"tEXt", b"chara\0" + coded(KEEPER)))
    )
    (theirs / "worlds" / "Tides.json").write_text(json.dumps(TIDES), encoding="utf-8")
    out = tmp_path / "out"
    environment = {"SHORITUI_HOME": str(home), "TEXTUAL_ANIMATIONS": "none"}

    def shoritui(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "shoritui", *arguments],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    shoritui("import", str(theirs))
    command = (sys.executable, "-m", "shoritui", "chat", "ottoline")
    with Terminal(command, env=environment) as app:
        app.wait_for("You have missed it")
        app.wait_for("▀▀▀▀")  # her picture, in half blocks
        app.wait_for("ready")
        app.press("/newer", "enter")
        app.wait_for('"Come in, You."')
        app.press("/lorebook tides", "enter")
        app.wait_for(lambda _: lore(home) == ["The iron gate"])
        app.press("What of the gate?", "enter")
        app.wait_for(lambda _: len(story(home)) >= 3 and story(home)[-1].status != "streaming")
        app.press("/why", "enter")
        app.wait_for(lambda text: "Why this lore" in text and "The iron gate" in text)
        app.press("escape")
        app.wait_for(lambda text: "Why this lore" not in text)
        app.press(f"/export sillytavern {out}", "enter")
        app.wait_for(lambda _: any(out.glob("*.jsonl")))
        app.press("ctrl+q")
        assert app.wait_until_ended() == 0

    [chat] = out.glob("*.jsonl")
    header, [greeting, said, answer, *_] = as_sillytavern_reads(chat)
    assert (header["user_name"], header["character_name"]) == ("You", "Ottoline")
    assert greeting["swipes"] == [
        '"You have missed it," said Ottoline.',
        'Ottoline lifted the lamp. "Come in, You."',
    ]
    assert greeting["swipe_id"] == 1 and not greeting["is_user"]
    assert (said["mes"], said["is_user"]) == ("What of the gate?", True)
    assert (answer["name"], answer["mes"]) == ("Ottoline", story(home)[-1].text)

    shoritui("cards", "export", "ottoline", "--as", "v2", "--to", str(out / "again.json"))
    again = json.loads((out / "again.json").read_text(encoding="utf-8"))
    assert {**again["data"], "character_book": None} == {**KEEPER["data"], "character_book": None}

    shoritui("import", str(chat))
    with closing(Library(home / "data" / "library.db")) as library:
        one, other = (library.entries(each.id) for each in library.summaries())
    assert [(e.speaker, e.text, e.length) for e in one if e.kind == "message"] == [
        (e.speaker, e.text, e.length) for e in other if e.kind == "message"
    ]
