"""`shoritui say`: one reply, its figures, its repeatability."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from shoritui.cli import main
from shoritui.director import Event, Notice, TurnEnded, Wrote
from shoritui.engine import Outcome
from shoritui.story import Entry
from tests.commands.process import shoritui
from tests.story.damage import KINDS, stories

FIGURES = {
    "speaker", "length", "text", "stop", "prompt_tokens", "reused_tokens", "evaluated_tokens",
    "generated_tokens", "first_token_ms", "tokens_per_second",
}  # fmt: skip


def test_say_prints_one_reply_and_its_figures(card: Path, tmp_path: Path) -> None:
    arguments = ("say", '"It is me."', card, "--speaker", "tobin", "--length", "tiny", "--seed", 5)
    plain = shoritui(*arguments, home=tmp_path)
    assert (plain.returncode, plain.stderr) == (0, "")
    result = shoritui(*arguments, "--json", home=tmp_path)
    reply = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert set(reply) == FIGURES
    assert (reply["speaker"], reply["length"]) == ("Tobin", "tiny")
    assert reply["text"].strip() == plain.stdout.strip(), "the same seed gives the same text"
    assert reply["stop"] in ("block_end", "token_limit")
    assert reply["prompt_tokens"] == reply["reused_tokens"] + reply["evaluated_tokens"]
    assert reply["generated_tokens"] > 0 and reply["first_token_ms"] > 0


def test_a_seed_reads_nothing_that_was_read_before(card: Path, tmp_path: Path) -> None:
    shoritui("say", '"It is me."', card, "--length", "tiny", home=tmp_path)
    result = shoritui("say", '"It is me."', card, "--seed", 5, "--json", home=tmp_path)
    assert json.loads(result.stdout)["reused_tokens"] == 0


def test_a_preset_that_is_wrong_is_told_why(card: Path, tmp_path: Path) -> None:
    path = tmp_path / "config" / "presets" / "hot.toml"
    path.parent.mkdir(parents=True)
    path.write_text("temprature = 2\n", encoding="utf-8")
    result = shoritui("say", "Hm.", card, "--preset", "hot", home=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert "hot.toml: line 1" in result.stderr and result.stderr.count("\n") == 1


class Scripted:
    """A director that writes, and says something between two pieces."""

    chat = SimpleNamespace(cast=[], other_names={}, length=None)

    async def say(self, text: str) -> AsyncGenerator[Event]:
        return
        yield

    async def reply(self, speaker: str | None) -> AsyncGenerator[Event]:
        yield Wrote(1, "Änd so\x9b. And")
        yield Notice("The context is full.")
        yield Wrote(1, " on.")
        text = "Änd so\x9b. And on."
        entry = Entry(1, None, "message", "Mara", None, text, "complete", 0.0, 3)
        yield TurnEnded(entry, Outcome("block_end", text, 9, 0, 9, 3, 1.0, 1.0))


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def chat(*_: object) -> AsyncGenerator[Scripted]:
        yield Scripted()

    monkeypatch.setattr("shoritui.commands.say.temporary_chat", chat)


@pytest.mark.usefixtures("scripted")
def test_a_notice_begins_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    assert main(["say", "Hm.", "x"]) == 0
    assert capsys.readouterr().out == "Änd so\x9b.\nshoritui: The context is full.\n And on.\n"


@pytest.mark.usefixtures("scripted")
def test_json_is_one_line_that_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say", "Hm.", "x", "--json"]) == 0
    line = capsys.readouterr().out
    assert '"text": "Änd so\\u009b. And on."' in line and line.count("\n") == 1


def test_a_name_at_the_start_asks_that_character(card: Path, tmp_path: Path) -> None:
    result = shoritui("say", '@Tobin "Well?"', card, "--length", "nano", "--json", home=tmp_path)
    assert json.loads(result.stdout)["speaker"] == "Tobin"


def test_say_keeps_no_chat(card: Path, tmp_path: Path) -> None:
    shoritui("say", "Hm.", card, home=tmp_path / "home")
    assert not (tmp_path / "home" / "data").exists()


@pytest.mark.usefixtures("scripted")
def test_what_is_printed_of_a_loop_is_what_is_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def looping(_: Scripted, speaker: str | None) -> AsyncGenerator[Event]:
        for piece in ("He sat. ", "And then", *[" the anti"] * 30):
            yield Wrote(1, piece)
        entry = Entry(1, None, "message", "Mara", None, "He sat.", "looped", 0.0, 0)
        yield TurnEnded(entry, Outcome("loop", "He sat.", 9, 0, 9, 3, 1.0, 1.0))

    monkeypatch.setattr(Scripted, "reply", looping)
    assert main(["say", "Hm.", "x"]) == 0
    assert capsys.readouterr().out == "He sat.\n"


def test_no_damaged_library_keeps_it_from_a_reply(card: Path, tmp_path: Path) -> None:
    path = tmp_path / "data" / "library.db"
    stories(path)
    for name in ("a damaged page", "a scene nested too deep", "a long circle", "no search index"):
        KINDS[name].do(path)
    before = path.read_bytes()
    result = shoritui("say", '"It is me."', card, "--length", "tiny", "--seed", 1, home=tmp_path)
    assert (result.returncode, result.stderr) == (0, "") and result.stdout.strip()
    assert path.read_bytes() == before
