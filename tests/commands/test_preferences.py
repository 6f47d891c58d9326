"""`shoritui chats export --preferences`, as a user types it."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoritui.cards import Card, Character
from shoritui.cli import main
from shoritui.errors import UserError
from shoritui.finetune.data.preferences import preferences_of
from shoritui.story import Asked, Draft, Library, Origin
from tests.e2e.terminal import Terminal

SCENE = Card(characters=(Character(name="Bram", user=True), Character(name="Ada\x1b[31m")))
ASKED = Asked("0123456789abcdef", "short")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    library = Library(tmp_path / "home/data/library.db")
    yield library
    library.close()


def swiped(library: Library, name: str = "The ferry\x1b[31m") -> None:
    """A chat in which Ada's first words were swiped away."""
    chat = library.create_chat(SCENE, "Bram", name)
    library.append(chat.id, Draft("message", "Bram", "Well?", origin=Origin("user")))
    origin = Origin("model", asked=ASKED)
    left = library.append(chat.id, Draft("message", "Ada", "No\x1b[2J.", "nano", origin=origin))
    kept = Draft("message", "Ada", "Aye " * 80, "medium", origin=origin)
    library.add_version(left.id, kept, keep=True, act="Retry")
    library.append(chat.id, Draft("message", "Bram", "Aha.", origin=Origin("user")))


def shoritui(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([*map(str, words)])
    shown = capsys.readouterr()
    assert all(c.isprintable() or c == "\n" for c in shown.out + shown.err)
    return code, shown.out, shown.err


def test_what_was_found_is_shown_and_written_for_the_user_alone(
    library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swiped(library)
    swiped(library, "Another")
    code, out, _ = shoritui(capsys, "chats", "export", "--preferences", "--yes")
    assert code == 0 and out.endswith("preferences.jsonl\n")
    assert "1 (The ferry" in out and "2 preferences: 2 kept, over 2 left." in out
    assert "left    No" in out and "…" in out
    path = tmp_path / "preferences.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == 2 and rows[0]["because"] == "kept"
    assert rows[0]["chosen"].startswith("▀message (length: short)\nAda: Aye Aye")
    assert rows[0]["rejected"] == ["▀message (length: short)\nAda: No\x1b[2J.▄\n"]
    assert rows[0]["context"].endswith("▀message\nBram: Well?▄\n")
    for each in preferences_of(path, path.name):  # as `finetune` reads it
        assert not isinstance(each, UserError) and each.chosen.length == "short"
    config = tmp_path / "finetune.toml"
    config.write_text(
        'base = "demo"\n[[tier]]\nname = "taste"\nkind = "preference"\ndata = ["pref*.jsonl"]\n'
    )
    code, out, _ = shoritui(capsys, "finetune", "check", config)
    assert code == 0 and out.endswith("Conversations: 0. Preferences: 2. Errors: 0. Warnings: 0.\n")
    assert shoritui(capsys, "chats", "export", "--preferences")[1].startswith("Unchanged: ")
    code, out, _ = shoritui(capsys, "chats", "export", "--preferences", "1", "-o", "x/one.jsonl")
    assert code == 1 and "1 preference: 1 kept, over 1 left." in out


def test_without_a_terminal_nothing_is_written_unasked(
    library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shoritui(capsys, "chats", "export", "--preferences")[1].startswith("No reply was kept")
    swiped(library)
    code, _, err = shoritui(capsys, "chats", "export", "--preferences")
    assert code == 1 and "add --yes" in err
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "x"}\n')
    code, _, err = shoritui(capsys, "chats", "export", "--preferences", "--yes", "-o", other)
    assert code == 1 and "holds something else" in err and other.read_text() == '{"text": "x"}\n'
    for words in (["--yes"], ["-o", "x"], ["--preferences", "--format", "json"]):
        assert shoritui(capsys, "chats", "export", "--all", *words)[0] == 1
    assert sorted(tmp_path.iterdir()) == [tmp_path / "home", other]


@pytest.mark.parametrize(("answer", "is_written"), [("y", True), ("n", False)])
def test_it_is_asked_before_it_is_written(
    library: Library, tmp_path: Path, answer: str, is_written: bool
) -> None:
    swiped(library)
    library.close()
    path = tmp_path / "new/taste.jsonl"
    command = (sys.executable, "-m", "shoritui", *["chats", "export", "--preferences", "-o"])
    with Terminal((*command, str(path)), env={"SHORITUI_HOME": str(tmp_path / "home")}) as screen:
        screen.wait_for("[y/N]")
        assert not path.exists()
        screen.press(answer, "\r")
        assert screen.wait_until_ended() == (not is_written)
    assert path.exists() == is_written
