"""`shoritui chats`, as a user types it: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from shoritui.blockml import Block, Instruction, Part, parse
from shoritui.cards import Card, Character, Lore, Opening
from shoritui.cli import main
from shoritui.errors import UserError
from shoritui.finetune.config.model import Config
from shoritui.finetune.data.conversations import read
from shoritui.folders import data_dir
from shoritui.story import Chat, Draft, Library

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
    left = library.append(chat.id, Draft("message", "Bram", "No."))
    heard = Draft("message", "Bram", "He heard the whistle.", "tiny")
    library.add_version(left.id, heard, keep=False, act="Edit a message")
    library.append(chat.id, Draft("note", "", "Be brief."))
    library.append(chat.id, Draft("title", "", "At sea"))
    library.append(chat.id, Draft("description", "Cleo", "A gull."))
    library.append(chat.id, Draft("ooc", "Bram", "Back soon."))
    unread = library.append(chat.id, Draft("message", "Ada", "Nobody may know."))
    library.hide(unread.id, True)
    library.append(chat.id, Draft("message", "Ada", ""))
    library.append(chat.id, Draft("message", "Ada", "", status="streaming"))
    return chat


def say(library: Library, title: str) -> Chat:
    chat = library.create_chat(Card(characters=(Character(name="Ada"),)), "Ada")
    library.append(chat.id, Draft("message", "Ada", f"Hello from {title}."))
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
    assert first.split()[:2] == ["1", "5"] and first.endswith("  The last ferry")
    for words in (["chats", "--json"], ["chats", "list", "--json"]):
        facts = json.loads(shoritui(capsys, *words)[1])["chats"]
        assert [(one["id"], one["messages"]) for one in facts] == [(2, 1), (1, 5)]
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
    (conversation,) = read(Config(out / "finetune.toml", ()), [path])
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
    assert (code, out) == (1, "") and f"B-{second.id}.txt exists already" in err
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
        ([], "or use --all"),
        (["Twice"], "choose by number, 2, 1"),
        (["9"], "no chat '9'"),
        (["\x1b[31mx"], "no chat 'x'"),
    ):
        code, out, err = shoritui(capsys, "chats", "export", *words, "--to", tmp_path / "out")
        assert (code, out) == (1, "") and sentence in err
    code, out, _ = shoritui(capsys, "chats", "export", "1", "3", "1", "--to", tmp_path / "out")
    assert code == 0 and "1 written" in out and "nothing is said in it: 3 (Ada)" in out


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("settings", "{"), ("settings", "[]"), ("updated", 1e20), ("updated", "x")),
        *(("name", b"\xff"), ("tags", "["), ("tags", "7"), ("created", -1)),
    ],
)
def test_a_damaged_chat_is_one_sentence(
    library: Library, capsys: pytest.CaptureFixture[str], column: str, value: object
) -> None:
    say(library, "broken")
    with closing(sqlite3.connect(data_dir() / "library.db")) as database, database:
        database.execute(f"UPDATE chats SET {column} = ?", (value,))
    code, out, err = shoritui(capsys, "chats", "show", 1)
    assert (code, out) == (1, "") and "is damaged" in err and err.count("\n") == 1
    code, out, _ = shoritui(capsys, "chats", "check")
    assert code == 1 and "chat 1 is damaged" in out


@pytest.mark.parametrize(("column", "value"), [("tags", "5"), ("name", b"\xff"), ("updated", "x")])
def test_a_damaged_chat_leaves_the_others_alone_and_can_be_deleted(
    library: Library, capsys: pytest.CaptureFixture[str], column: str, value: object
) -> None:
    say(library, "broken")
    say(library, "Hello.")
    with closing(sqlite3.connect(data_dir() / "library.db")) as database, database:
        database.execute(f"UPDATE chats SET {column} = ? WHERE id = 1", (value,))
    code, out, err = shoritui(capsys, "chats")
    assert code == 0 and not err and out.count("(The stored chat 1 is damaged: ") == 1
    assert "Hello." in shoritui(capsys, "chats", "show", 2)[1]
    assert shoritui(capsys, "chats", "rename", 2, "Sound")[0] == 0
    assert shoritui(capsys, "chats", "delete", 1)[0] == 0
    assert "damaged" not in shoritui(capsys, "chats")[1]
    assert "damaged" in shoritui(capsys, "chats", "list", "--bin")[1]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("text", b"\xff"), ("status", "weird"), ("kind", "zzz"), ("speaker", b"A")),
        *(("created", "x"), ("tokens", "x"), ("length", "vast"), ("label", b"x")),
    ],
)
def test_a_damaged_message_is_one_sentence(
    library: Library, capsys: pytest.CaptureFixture[str], column: str, value: object
) -> None:
    say(library, "broken")
    say(library, "Hello.")
    with closing(sqlite3.connect(data_dir() / "library.db")) as database, database:
        database.execute(f"UPDATE entries SET {column} = ? WHERE chat = 1", (value,))
    for words in (("show", 1), ("export", 1, "--to", data_dir())):
        code, out, err = shoritui(capsys, "chats", *words)
        assert (code, out) == (1, "") and "is damaged" in err and err.count("\n") == 1
    code, out, _ = shoritui(capsys, "chats", "check")
    assert code == 1 and "is damaged" in out
    assert "Hello." in shoritui(capsys, "chats", "show", 2)[1]


@pytest.mark.parametrize("step", ["parent = id", "parent = (SELECT max(id) FROM entries)"])
def test_messages_in_a_circle_are_one_sentence(
    library: Library, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    ferry(library)
    with closing(sqlite3.connect(data_dir() / "library.db")) as database, database:
        database.execute(f"UPDATE entries SET {step} WHERE id > 1")
    for words in (("show", 1), ("export", 1, "--to", data_dir())):
        code, out, err = shoritui(capsys, "chats", *words)
        assert (code, out) == (1, "") and "does not lead to a beginning" in err
    with suppress(UserError):  # none of them hangs
        library.move(3, up=True)
    with suppress(UserError):
        library.delete([3])
    with suppress(UserError):
        library.go_to(2, 1)
    assert "in a circle" in shoritui(capsys, "chats", "check")[1]


def test_words_are_found_with_what_stands_around_them(
    library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    ferry(library)
    say(library, "whistle\nstop")
    code, out, _ = shoritui(capsys, "chats", "search", "WHISTLE")
    assert code == 0 and out == (
        "whistle stop (2)\n  Ada: Hello from [whistle] stop.\n"
        "The last ferry (1)\n  Bram (2 of 2): He heard the [whistle].\n2 hits\n"
    )
    found_in = shoritui(capsys, "chats", "search", "no", "--chat", "the last ferry")[1]
    assert "Bram (1 of 2): [No]." in found_in
    found = json.loads(shoritui(capsys, "chats", "search", '"the whistle"', "--json")[1])["hits"]
    assert [(hit["chat"], hit["speaker"], hit["found"]) for hit in found] == [
        (1, "Bram", "the whistle")
    ]
    assert shoritui(capsys, "chats", "search", "zebra") == (0, "Nothing was found.\n", "")
    assert "1 hit\n" in shoritui(capsys, "chats", "search", "whistle", "--limit", 1)[1]
    assert "2 hits\n" in shoritui(capsys, "chats", "search", "whistle " * 5000)[1]
    assert "at most 64 words" in shoritui(capsys, "chats", "search", *range(1000))[2]
    assert "Nothing" in shoritui(capsys, "chats", "search", "\udcff\udcfe")[1]
    assert "no chat ''" in shoritui(capsys, "chats", "search", "whistle", "--chat", "")[2]
    with pytest.raises(SystemExit):
        main(["chats", "search", "whistle", "--limit", "0"])
    assert "--limit must be a number from 1 to 1,000,000, not '0'." in capsys.readouterr().err


def test_a_chat_is_shown_as_it_stands(library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    ferry(library)
    library.set_tags(1, ["finished"])
    code, out, _ = shoritui(capsys, "chats", "show", "the last FERRY")
    heading, first, second, *_ = out.split("\n\n")
    assert code == 0 and heading.startswith("The last ferry\nBram (you), Ada · 5 messages · ")
    assert heading.endswith(" · finished") and first == 'Ada: "We leave at noon."'
    assert second == "Bram: He heard the whistle." and "[note] Be brief." in out
    assert "(hidden from the model) Ada: Nobody may know." in out and "No." not in out
    shown = json.loads(shoritui(capsys, "chats", "show", 1, "--last", 7, "--json")[1])
    assert shown["title"] == "The last ferry" and shown["user"] == "Bram"
    assert [entry["kind"] for entry in shown["entries"]][:2] == ["note", "title"]
    shown = json.loads(shoritui(capsys, "chats", "show", 1, "--json")[1])
    assert [entry["versions"] for entry in shown["entries"]][:3] == [1, 2, 1]


def test_a_chat_gets_another_title(library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    ferry(library)
    words = ("chats", "rename", "The last ferry", "  The\x1b[1m first\nferry")
    assert shoritui(capsys, *words) == (0, "Renamed: 1 (The first ferry)\n", "")
    assert [chat.name for chat in library.summaries()] == ["The first ferry"]
    assert library.undo(1) == "Rename the story"
    assert "at least one letter" in shoritui(capsys, "chats", "rename", 1, " \n")[2]


def test_what_is_deleted_lies_in_the_bin(
    library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    ferry(library), say(library, "Lamp")
    code, out, _ = shoritui(capsys, "chats", "delete", "Lamp", "1")
    assert code == 0 and "shoritui chats undelete 2" in out
    assert "no chats yet" in shoritui(capsys, "chats")[1]
    assert "no chat 'Lamp'" in shoritui(capsys, "chats", "show", "Lamp")[2]
    out = shoritui(capsys, "chats", "--bin")[1]
    assert "DELETED" in out and "Lamp" in out and "The last ferry" in out
    [one, _] = json.loads(shoritui(capsys, "chats", "list", "--bin", "--json")[1])["chats"]
    assert "T" in one["deleted"]
    assert shoritui(capsys, "chats", "undelete", "Lamp")[1] == "Taken back: 2 (Lamp)\n"
    assert [chat.name for chat in library.summaries()] == ["Lamp"]
    assert shoritui(capsys, "chats", "undelete", "Lamp")[0] == 1


def test_the_bin_is_emptied_on_demand(library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    ferry(library), say(library, "Lamp"), say(library, "Kept")
    shoritui(capsys, "chats", "delete", "Lamp", "1")
    assert "no chat 'Kept'" in shoritui(capsys, "chats", "erase", "Kept")[2]
    assert "--all" in shoritui(capsys, "chats", "erase")[2]
    assert shoritui(capsys, "chats", "erase", "Lamp") == (0, "Erased: 2 (Lamp)\n", "")
    assert shoritui(capsys, "chats", "erase", "--all")[1] == "Erased: 1 (The last ferry)\n"
    assert shoritui(capsys, "chats", "erase", "--all")[1] == "The bin is empty.\n"
    assert [chat.name for chat in library.summaries()] == ["Kept"]


def test_a_chat_that_a_window_writes_is_left_alone(
    library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    library.claim(ferry(library).id)
    for words in (("rename", "1", "x"), ("delete", "1")):
        code, out, err = shoritui(capsys, "chats", *words)
        assert (code, out) == (1, "") and "open in another window" in err


@pytest.mark.parametrize("form", ["html", "markdown", "prose", "json", "sillytavern"])
def test_what_is_to_be_read_gets_a_number_and_replaces_nothing(
    library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    ferry(library)
    out = tmp_path / "out"
    for number in (1, 2):
        code, told, _ = shoritui(capsys, "chats", "export", "--all", "--format", form, "--to", out)
        assert code == 0 and told.startswith(f"{out}/The-last-ferry-1")
        assert len(list(out.iterdir())) == number
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in out.iterdir())


def test_training_data_lands_in_its_tier(
    library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ferry(library)
    assert shoritui(capsys, "finetune", "init", tmp_path / "mine")[0] == 0
    words = ("chats", "export", "1", "--to", tmp_path / "mine", "--tier")
    assert shoritui(capsys, *words, "high")[0] == 0
    path = tmp_path / "mine/data/high/The-last-ferry-1.txt"
    assert path.stat().st_mode & 0o777 == 0o600
    (conversation,) = read(Config(tmp_path / "finetune.toml", ()), [path])
    assert conversation.messages
    for tier in ("hihg", "../high", "", ".."):
        code, out, err = shoritui(capsys, *words, tier)
        assert (code, out) == (1, "") and "it has high, low, mid, top." in err
    assert "finetune init" in shoritui(capsys, *words[:4], tmp_path, "--tier", "high")[2]
    assert "is for training data" in shoritui(capsys, *words, "high", "--format", "html")[2]


ENDS = ("txt", "sillytavern.jsonl")


def test_files_come_in_and_a_bad_one_does_not_stop_the_others(
    library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ferry(library)
    for form in ("json", "blockml", "sillytavern"):
        shoritui(capsys, "chats", "export", "1", "--format", form, "--to", tmp_path)
    (tmp_path / "bad").write_text("Once upon a time")
    names = ("The-last-ferry-1.json", "bad", *(f"The-last-ferry-1.{end}" for end in ENDS))
    files = [tmp_path / name for name in names]
    code, out, err = shoritui(capsys, "chats", "import", *files)
    assert code == 1 and err.count("\n") == 1 and "bad was not imported" in err
    assert out == "".join(
        f"Imported: {n} (The last ferry ({n})); you are Bram\n" for n in (2, 3, 4)
    )
    assert len(library.summaries()) == 4


def test_broken_lines_are_told_beside_the_chat(
    library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ferry.jsonl"
    path.write_text('{"name": "Ada", "is_user": false, "mes": "Hm."}\n{"name": "Br')
    code, out, err = shoritui(capsys, "chats", "import", path)
    assert (code, out) == (0, "Imported: 1 (ferry); you are You\n")
    assert err == f"shoritui: {path}: 1 broken line was left out: 2.\n"


def test_a_library_on_a_disk_that_is_away_is_not_taken_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path))
    path = tmp_path / "data" / "library.db"
    path.parent.mkdir()
    path.symlink_to(tmp_path / "disk" / "library.db")
    for words in ((), ("list",), ("show", "1"), ("export", "--all"), ("backup",)):
        code, out, err = shoritui(capsys, "chats", *words)
        assert (code, out) == (1, "")
        assert f"The library {path} is not there any more" in err
    assert not (tmp_path / "disk").exists()
    assert [each.name for each in path.parent.iterdir()] == ["library.db"]


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda folder: folder.symlink_to(folder)], ids=["a pipe", "a loop"]
)
def test_a_folder_of_backups_that_is_none_is_named(
    make: Callable[[Path], object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path))
    Library(tmp_path / "data" / "library.db").close()
    folder = tmp_path / "data" / "backups"
    make(folder)
    code, _, err = shoritui(capsys, "chats", "backup")
    assert code == 1
    assert err.startswith(f"shoritui: Backups cannot be written to {folder}: there is a file")


def test_an_export_to_a_pipe_does_not_wait(
    library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = say(library, "First")
    words = ("export", chat.id, "--to", tmp_path / "there")
    assert shoritui(capsys, "chats", *words)[0] == 0
    [pipe] = (tmp_path / "there").iterdir()
    pipe.unlink()
    os.mkfifo(pipe)
    code, _, err = shoritui(capsys, "chats", *words)
    assert code == 1 and f"{pipe} cannot be read: it is not a plain file." in err


def test_a_library_is_made_for_what_comes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    (tmp_path / "ferry.txt").write_text("▀message\nAda: Hm.▄\n")
    for words in (("show", "1"), ("search", "x"), ("check",), ("backup",)):
        assert "no chats yet" in shoritui(capsys, "chats", *words)[2]
    assert not (tmp_path / "home").exists()
    assert shoritui(capsys, "chats", "import", tmp_path / "ferry.txt")[0] == 0
    assert "ferry" in shoritui(capsys, "chats")[1]


def test_a_backup_takes_the_library_back(
    library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    ferry(library)
    assert "no backups yet" in shoritui(capsys, "chats", "restore")[1]
    code, out, _ = shoritui(capsys, "chats", "backup")
    path = Path(out.strip())
    assert code == 0 and path.exists() and path.stat().st_mode & 0o777 == 0o600
    library.rename_chat(1, "Another")
    head, row = shoritui(capsys, "chats", "restore")[1].splitlines()
    assert head.split() == ["NUMBER", "MADE", "SIZE", "NAME"] and path.name in row
    [listed] = json.loads(shoritui(capsys, "chats", "restore", "--json")[1])["backups"]
    assert listed["path"] == str(path)
    assert "close every window" in shoritui(capsys, "chats", "restore", "1")[2]
    assert "no backup '9'" in shoritui(capsys, "chats", "restore", "9")[2]
    assert "too long" in shoritui(capsys, "chats", "restore", "9" * 5000)[2]
    library.close()
    code, out, _ = shoritui(capsys, "chats", "restore", "1")
    assert code == 0 and "before-restore" in out
    assert "The last ferry" in shoritui(capsys, "chats")[1]
    before = Path(out.strip().rpartition(" ")[2])
    assert shoritui(capsys, "chats", "restore", before.name)[0] == 0
    assert "Another" in shoritui(capsys, "chats")[1]


def test_damage_is_found(library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    ferry(library)
    assert shoritui(capsys, "chats", "check") == (0, "The library is sound.\n", "")
    with closing(sqlite3.connect(data_dir() / "library.db")) as database, database:
        database.execute("UPDATE entries SET parent = 3 WHERE id = 1")
    code, out, _ = shoritui(capsys, "chats", "check")
    assert code == 1 and "in a circle" in out and "chats restore" in out
    code, out, _ = shoritui(capsys, "chats", "check", "--json")
    assert code == 1 and len(json.loads(out)["problems"]) == 1


@pytest.mark.parametrize("form", ["json", "blockml"])
def test_a_file_is_no_folder_to_write_into(
    library: Library, capsys: pytest.CaptureFixture[str], tmp_path: Path, form: str
) -> None:
    ferry(library)
    (tmp_path / "ok.txt").touch()
    for place in (tmp_path / "ok.txt", tmp_path / "ok.txt" / "below", "/dev/null"):
        code, _, err = shoritui(capsys, "chats", "export", 1, "--to", place, "--format", form)
        assert code == 1 and "cannot be written: there is a file where its folder" in err


def test_a_title_can_be_seen(library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    ferry(library)
    for title in ("\u200b", " ", "\u3164"):
        assert "at least one letter" in shoritui(capsys, "chats", "rename", 1, title)[2]


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    """A home with a library, on a disk that takes nothing."""
    home = tmp_path / "disk"
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(home)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a disk, and not everywhere")
    with closing(Library(home / "data" / "library.db")) as library:
        ferry(library)
    subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True)
    yield home
    subprocess.run(["umount", str(home)], check=True)


def test_a_library_on_a_disk_that_takes_nothing_is_read(
    read_only_disk: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("SHORITUI_HOME", str(read_only_disk))
    for words in (
        *((), ("show", 1), ("search", "whistle"), ("check",)),
        *(("export", 1, "--to", tmp_path, "--format", form) for form in ("json", "blockml")),
    ):
        code, out, err = shoritui(capsys, "chats", *words)
        assert code == 0 and out and not err
    for words in (("delete", 1), ("rename", 1, "Another"), ("backup",)):
        code, out, err = shoritui(capsys, "chats", *words)
        assert (code, out) == (1, "") and "cannot be" in err and err.count("\n") == 1
    with closing(Library(read_only_disk / "data" / "library.db")) as library:
        library.touch(1)
        assert library.claim(1) and library.entries(1)
        with pytest.raises(UserError, match="cannot be written"):
            library.append(1, Draft("message", "Bram", "Lost?"))
        library.let_go(1)


_ONE_BY_ONE = """
import ctypes, os, sys

if sys.argv[1] == "drop":  # so that root has to keep to what files allow, too
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH; PR_CAPBSET_DROP is 24
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[2], "run", *sys.argv[3:]])
from shoritui.cli import main

for words in sys.argv[2:]:
    sys.stdout.flush()
    print("code", main(words.split()), file=sys.stderr, flush=True)
"""
_DOORS = (
    *("chats", "chats show 1", "chats check", "chats export --all --to x", "chats restore"),
    *("chats backup", "chats search x", "export First", "export --all x"),
    "chat --linear mudlark-inn --model none.gguf",
)


@pytest.mark.skipif(sys.platform != "linux", reason="only there can root be without its rights")
@pytest.mark.parametrize(("place", "mode"), [("data", 0), (".", 0)])
def test_a_folder_without_permission_is_one_sentence(
    library: Library, tmp_path: Path, place: str, mode: int
) -> None:
    say(library, "First")
    library.close()
    home = tmp_path / "home"
    (home / place).chmod(mode)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ONE_BY_ONE, "drop", _ONE_BY_ONE, *_DOORS],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            check=False,
        )
    finally:
        (home / place).chmod(0o700)
    told = done.stderr.replace("code 1\n", "").splitlines()
    assert done.stderr.count("code 1\n") == len(told) == len(_DOORS), done
    assert not done.stdout
    for sentence in told:
        assert str(home) in sentence and "cannot be" in sentence, sentence
