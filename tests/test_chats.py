"""`shoritui chats`, as a user types it: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoritui.blockml import Block, Instruction, Part, parse
from shoritui.cards import Card, Character, Lore, Opening
from shoritui.cli import main
from shoritui.finetune.data.conversations import read
from shoritui.story import Chat, Library

SCENE = Card(
    title="The last ferry",
    tags=("sea", "night"),
    characters=(
        Character(name="Bram", description="A baker who is late.", user=True),
        Character(name="Ada", description="**Name:** Ada\nPatient."),
    ),
    lore=(
        Lore(name="harbour", text="The harbour closes at night."),
        Lore(name="whistle", text="The whistle is tin.", keys=("whistle",)),
    ),
    scenario="The ferry leaves.",
    messages=(Opening(speaker="Ada", text='"We leave at noon."', length="nano"),),
)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    library = Library(tmp_path / "home/data/library.db")
    yield library
    library.close()


def ferry(library: Library) -> Chat:
    """A chat with every kind of entry, a version that was left, and a reply being written."""
    chat = library.create_chat(SCENE, "Bram")
    left = library.append(chat.id, "message", "Bram", "No.")
    library.append(
        *(chat.id, "message", "Bram", "He heard the whistle."), length="tiny", parent=left.parent
    )
    library.append(chat.id, "note", "", "Be brief.")
    library.append(chat.id, "title", "", "At sea")
    library.append(chat.id, "description", "Cleo", "A gull.")
    library.append(chat.id, "ooc", "Bram", "Back soon.")
    library.append(chat.id, "message", "Ada", "")
    library.append(chat.id, "message", "Ada", "She", status="streaming")
    return chat


def say(library: Library, title: str) -> Chat:
    chat = library.create_chat(Card(characters=(Character(name="Ada"),)), "Ada")
    library.append(chat.id, "message", "Ada", f"Hello from {title}.")
    return library.rename_chat(chat.id, title)


def shoritui(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([*map(str, words)])
    shown = capsys.readouterr()
    assert all(c.isprintable() or c == "\n" for c in shown.out + shown.err)
    return code, shown.out, shown.err


def test_chats_are_listed(library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    ferry(library)
    say(library, "Lamp\x1b[31m\nlight\x7f")
    code, out, _ = shoritui(capsys, "chats")
    head, last, first = out.splitlines()
    assert code == 0 and head.split() == ["ID", "MESSAGES", "LAST", "USED", "TITLE"]
    assert last.split()[:2] == ["2", "1"] and last.endswith("  Lamp light")
    assert first.split()[:2] == ["1", "2"] and first.endswith("  The last ferry")
    for words in (["chats", "--json"], ["chats", "list", "--json"]):
        facts = json.loads(shoritui(capsys, *words)[1])["chats"]
        assert [(one["id"], one["messages"]) for one in facts] == [(2, 1), (1, 2)]
        assert facts[1]["title"] == "The last ferry" and "T" in facts[1]["updated"]


def test_without_a_library_none_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    assert "no chats yet" in shoritui(capsys, "chats", "list")[1]
    assert shoritui(capsys, "chats", "export", "--all", "--to", tmp_path / "out")[0] == 0
    assert not list(tmp_path.iterdir())


EXPORTED: list[Part] = [
    Block("title", "The last ferry"),
    Block("tags", "sea, night"),
    Block("lore", "The harbour closes at night."),
    Block("description", "**Name:** Ada\nPatient."),
    Block("description", "Bram\nA baker who is late."),
    Block("scenario", "The ferry leaves."),
    Instruction("Be kind."),
    Block("message", '"We leave at noon."', "Ada", "nano"),
    Block("message", "He heard the whistle.", "Bram", "tiny"),
    Block("lore", "The whistle is tin."),
    Instruction("Be brief."),
    Block("title", "At sea"),
    Block("description", "Cleo\nA gull."),
    Block("ooc", "Bram: Back soon."),
]


@pytest.mark.parametrize(("form", "name"), [("blockml", "ferry.txt"), ("jsonl", "ferry.jsonl")])
def test_a_chat_is_written_as_training_reads_it(
    library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, name: str
) -> None:
    chat = ferry(library)
    settings = tmp_path / "home/config/settings.toml"
    settings.parent.mkdir()
    settings.write_text('instruction = "Be kind."', encoding="utf-8")
    out = tmp_path / "out"
    words = ["chats", "export", "the LAST ferry", "--to", out, "--format", form]
    code, told, _ = shoritui(capsys, *words)
    (path,) = out.iterdir()
    assert code == 0 and path.name == f"The-last-{name}".replace(".", f"-{chat.id}.")
    assert str(path) in told and "1 written" in told
    (conversation,) = read(out, [path])
    assert list(conversation.parts) == EXPORTED
    if form == "blockml":
        assert parse(path.read_text(encoding="utf-8")) == EXPORTED
    assert "0 written" in shoritui(capsys, *words)[1]


def test_no_other_file_is_replaced(
    library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = say(library, "A"), say(library, "B")
    (tmp_path / f"B-{second.id}.txt").write_text("mine", encoding="utf-8")
    code, out, err = shoritui(capsys, "chats", "export", "--all", "--to", tmp_path)
    assert (code, out) == (1, "") and f"B-{second.id}.txt is there already" in err
    assert not (tmp_path / f"A-{first.id}.txt").exists(), "nothing at all is written"
    assert shoritui(capsys, "chats", "export", first.id, "--to", tmp_path)[0] == 0
    assert (tmp_path / f"B-{second.id}.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("../../etc/passwd", "etc-passwd-1"),
        ("/", "chat-1"),
        ("..", "chat-1"),
        ("CON", "CON-1"),
        ("a\x00b\x1b]0;x\x07c\n d", "abc-d-1"),
        ("Über den Wolken: ☁ \u202egnp.", "Über-den-Wolken-gnp-1"),
        ("日本語" * 100, "日本語" * 8 + "日本-1"),
        ("-rf", "rf-1"),
    ],
)
def test_any_title_makes_a_safe_file_name(
    library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str], title: str, name: str
) -> None:
    say(library, title)
    out = tmp_path / "deep" / "out"
    assert shoritui(capsys, "chats", "export", "--all", "--to", out)[0] == 0
    assert [path.name for path in out.iterdir()] == [f"{name}.txt"]


def test_which_chat_is_meant_must_be_clear(
    library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say(library, "Twice"), say(library, "Twice")
    library.create_chat(Card(characters=(Character(name="Ada"),)), "Ada")
    for words, sentence in (
        ([], "or say --all"),
        (["Twice"], "choose by number, 2, 1"),
        (["9"], "no chat '9'"),
        (["\x1b[31mx"], "no chat 'x'"),
    ):
        code, out, err = shoritui(capsys, "chats", "export", *words, "--to", tmp_path / "out")
        assert (code, out) == (1, "") and sentence in err
    code, out, _ = shoritui(capsys, "chats", "export", "1", "3", "1", "--to", tmp_path / "out")
    assert code == 0 and "1 written" in out and "nothing is said in it: 3 (Ada)" in out
