"""`shoritui prompt`: exactly what the model would read."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import closing
from pathlib import Path

from shoritui.blockml import Block, parse
from shoritui.cards import load_cards
from shoritui.folders import bundled_dir
from shoritui.story import Draft, Library
from tests.commands.process import shoritui
from tests.e2e.terminal import Terminal


def test_prompt_prints_exactly_the_blocks(card: Path, tmp_path: Path) -> None:
    result = shoritui(
        "prompt", card, "--say", "Me.", "--speaker", "Mara", "--length", "auto", home=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("▀message\nWren: Me.▄\n▀message\nMara:")
    parts = parse(result.stdout + " x▄\n")
    assert parts[0] == Block("title", "The Lantern on the Quay")


def test_escapes_stay_in_a_pipe_and_reach_no_terminal(card: Path, tmp_path: Path) -> None:
    text = card.read_text(encoding="utf-8").replace("The Lantern", "\\u001b]0;x\\u0007The Lantern")
    card.write_text(text, encoding="utf-8")
    assert "\x1b]0;x\x07The Lantern" in shoritui("prompt", card, home=tmp_path).stdout
    env = {"SHORITUI_HOME": str(tmp_path)}
    for more in ((), ("--tokens",)):
        command = (sys.executable, "-m", "shoritui", "prompt", str(card), *more)
        with Terminal(command, env=env) as screen:
            assert screen.wait_until_ended() == 0
            assert b"title" in screen.output and b"\x1b" not in screen.output


def test_a_name_that_is_empty_is_told(card: Path, tmp_path: Path) -> None:
    for arguments in (("prompt", ""), ("prompt", card, "--model", " "), ("models", "use", "")):
        result = shoritui(*arguments, home=tmp_path)
        assert result.returncode == 2 and "the name is empty" in result.stderr


def test_an_argument_commands_no_terminal(card: Path, tmp_path: Path) -> None:
    for arguments in (("prompt", card, "--\x1b[31m"), ("prompt", card, "--model", "\x1b[31m/x")):
        result = shoritui(*arguments, home=tmp_path)
        assert result.returncode and "\x1b" not in result.stderr


def test_prompt_takes_other_characters_for_the_user(card: Path, tmp_path: Path) -> None:
    result = shoritui("prompt", card, "--as", "tobin", "--say", "Me.", home=tmp_path)
    assert "\nTobin: Me.▄\n" in result.stdout


def test_a_name_at_the_start_asks_that_character(card: Path, tmp_path: Path) -> None:
    result = shoritui("prompt", card, "--say", "@Tobin Well?", home=tmp_path)
    assert "\nWren: Well?▄\n" in result.stdout and result.stdout.endswith("\nTobin:")


def test_on_a_terminal_the_prompt_ends_its_line(card: Path) -> None:
    command = (sys.executable, "-m", "shoritui", "prompt", str(card), "--speaker", "Mara")
    with Terminal(("sh", "-c", f"{shlex.join(command)}; echo END")) as screen:
        assert screen.wait_until_ended() == 0
        lines = [line.rstrip() for line in screen.text.splitlines()]
        assert "Mara:" in lines and "END" in lines


def test_the_tokens_are_those_of_the_prompt(card: Path, tmp_path: Path) -> None:
    text = shoritui("prompt", card, home=tmp_path).stdout
    rows = shoritui("prompt", card, "--tokens", home=tmp_path).stdout.splitlines()
    pieces = [json.loads(row.split("\t")[1]) for row in rows]
    assert "".join(pieces).lstrip() == text
    assert all(row.split("\t")[0].isdigit() for row in rows)


def test_a_card_that_ships_is_found_by_name(tmp_path: Path) -> None:
    name = sorted(bundled_dir("characters").glob("*.toml"))[0].stem
    assert shoritui("prompt", name, home=tmp_path).stdout.startswith("▀title\n")


def story(card: Path, home: Path) -> int:
    """A chat of the card in the library, with an escape in it and a hidden message."""
    with closing(Library(home / "data" / "library.db")) as library:
        chat = library.create_chat(load_cards([card]), "Wren").id
        library.append(chat, Draft("message", "Wren", "\x1b[2JWhere is \x9b31mthe bell?"))
        gone = library.append(chat, Draft("message", "Tobin", "Nobody may know."))
        library.hide(gone.id, True)
        library.append(chat, Draft("note", "", "It is noon."))
    return chat


def rows(home: Path) -> list[tuple[object, ...]]:
    with closing(Library(home / "data" / "library.db")) as library:
        return library._database.rows("SELECT * FROM entries") + library._database.rows(
            "SELECT head, settings, updated FROM chats"
        )


def test_a_chats_prompt_is_printed_block_by_block_and_nothing_is_changed(
    card: Path, tmp_path: Path
) -> None:
    chat = story(card, tmp_path)
    before = rows(tmp_path)
    told = shoritui("prompt", "--chat", chat, "--speaker", "mara", home=tmp_path)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("Mara reads ") and " to be read\n" in told.stdout
    assert "Left out: 1 because it is hidden from the model" in told.stdout
    assert "\n── description · Tobin · " in told.stdout
    assert "\n── note 4 · " in told.stdout and "Nobody may know" not in told.stdout
    facts = json.loads(shoritui("prompt", "--chat", "--json", home=tmp_path).stdout)
    text = shoritui("prompt", "--chat", chat, "--text", home=tmp_path).stdout
    assert "".join(block["text"] for block in facts["blocks"]) == text
    assert facts["tokens"] == sum(len(block["ids"]) for block in facts["blocks"])
    tokens = shoritui("prompt", "--chat", chat, "--tokens", home=tmp_path).stdout.splitlines()
    ids = [id_ for block in facts["blocks"] for id_ in block["ids"]]
    assert [int(row.split("\t")[0]) for row in tokens] == ids
    [hidden] = facts["left_out"]
    assert (hidden["reason"], hidden["number"]) == ("hidden", 3)
    assert rows(tmp_path) == before


def test_a_chats_escapes_reach_no_terminal(card: Path, tmp_path: Path) -> None:
    story(card, tmp_path)
    command = (sys.executable, "-m", "shoritui", "prompt", "--chat")
    with Terminal(command, env={"SHORITUI_HOME": str(tmp_path)}) as screen:
        assert screen.wait_until_ended() == 0
        assert b"the bell?" in screen.output and b"\x1b" not in screen.output
    told = shoritui("prompt", "--chat", "--json", home=tmp_path).stdout
    assert "\x1b" not in told and "\x9b" not in told


def test_cards_or_a_chat_are_asked_for(card: Path, tmp_path: Path) -> None:
    for arguments, said in (
        ((), "Name cards, or a chat"),
        ((card, "--chat", "1"), "one of both"),
        (("--chat",), "There are no chats yet"),
        (("--chat", "1", "--as", "Mara"), "go with cards"),
    ):
        result = shoritui("prompt", *arguments, home=tmp_path)
        assert result.returncode and said in result.stderr
