"""`shoritui chat` at the door: a model's name, and terminals that cannot show the app."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from shoritui.demo import model_path
from tests.benchmarks._tavern import card_png
from tests.commands.process import shoritui
from tests.e2e.terminal import Terminal

CHAT = (sys.executable, "-m", "shoritui", "chat")


def test_a_pipe_is_told_of_say(card: Path, tmp_path: Path) -> None:
    result = shoritui("chat", card, home=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert "shoritui say" in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("term", "redirection"),
    [
        ("xterm", "</dev/null"),
        ("xterm", "| cat; exit 2"),
        ("xterm", "2>$SHORITUI_HOME/err || (cat $SHORITUI_HOME/err; exit 2)"),
    ],
)
def test_a_terminal_that_cannot_show_the_app_is_told_of_say(
    term: str, redirection: str, tmp_path: Path
) -> None:
    command = ("sh", "-c", f"{shlex.join(CHAT)} {redirection}")
    with Terminal(command, env={"SHORITUI_HOME": str(tmp_path), "TERM": term}) as screen:
        assert screen.wait_until_ended() == 2
        assert "shoritui say" in screen.text and b"\x1b" not in screen.output


@pytest.mark.slow
def test_a_model_is_meant_by_its_name(card: Path, tmp_path: Path) -> None:
    model = tmp_path / "data" / "models" / "night.gguf"
    model.parent.mkdir(parents=True)
    model.write_bytes(model_path().read_bytes())
    env = {"SHORITUI_HOME": str(tmp_path)}
    with Terminal((*CHAT, str(card), "--model", "Night"), env=env) as screen:
        screen.wait_for("Who goes there?", 60)
        screen.press("ctrl+q")
        assert screen.wait_until_ended() == 0
    with Terminal((*CHAT, str(card), "--model", "nigth"), env=env) as screen:
        assert screen.wait_until_ended() == 1
        assert "night" in screen.text and "Traceback" not in screen.text


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    env = {"SHORITUI_HOME": str(tmp_path)}
    with Terminal((*CHAT, "--model", str(tmp_path)), env=env) as screen:
        assert screen.wait_until_ended() == 1
        assert "is a folder, not a model file." in screen.text


def test_a_card_of_another_program_begins_a_story_at_once(tmp_path: Path) -> None:
    picture, home = tmp_path / "orla.png", tmp_path / "home"
    card = {"name": "Orla", "description": "Old.", "first_mes": "You are late."}
    picture.write_bytes(card_png(card))
    for _ in range(2):
        done = shoritui("chat", "--linear", picture, home=home)
        assert done.returncode == 0 and "Orla: You are late." in done.stdout, done.stderr
    assert [each.name for each in (home / "config/characters").glob("*.toml")] == ["orla.toml"]
    picture.write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    done = shoritui("chat", "--linear", picture, home=home)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "orla.png" in done.stderr
