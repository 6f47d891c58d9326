"""An evening in plain lines: in a pipe, on a dumb terminal, with every command there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from shoritui.demo import model_path
from shoritui.linear.commands import COMMANDS, INSTEAD
from shoritui.story import Library
from shoritui.tui.chat.actions import ACTIONS
from tests.e2e.terminal import PATIENCE, Terminal
from tests.engine.adapter_file import write_adapter_folder

pytestmark = pytest.mark.slow

CHAT = (sys.executable, "-m", "shoritui", "chat")
CONTROLLED = (
    *(sys.executable, "-c"),
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execvp(sys.argv[1], sys.argv[1:])",
)
"""Runs a program in a terminal that controls it, so that Ctrl+C is a signal."""
CARD = "gannet-rock"
SHORT = "max_tokens = 24\n"
LONG = "max_tokens = 100_000\nlength = 'enormous'\npreset = 'wild'\n"
WILD = 'title = "Wild"\ntemperature = 20.0\n'
"""Words without sense, of which there is hardly an end."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config" / "presets").mkdir(parents=True)
    (tmp_path / "config" / "presets" / "wild.toml").write_text(WILD, encoding="utf-8")
    (tmp_path / "config" / "settings.toml").write_text(SHORT, encoding="utf-8")
    return tmp_path


def piped(home: Path, typed: str, *arguments: str) -> list[str]:
    """The lines that are printed for what is typed."""
    result = subprocess.run(
        [*CHAT, "--linear", *arguments],
        input=typed.encode(),
        capture_output=True,
        env={**os.environ, "SHORITUI_HOME": str(home)},
        timeout=PATIENCE,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, b""), result.stdout
    assert not set(result.stdout) & {0x1B, 0x0D, 0x08}, "nothing moves"
    return result.stdout.decode().splitlines()


def story(home: Path) -> list[str]:
    library = Library(home / "data" / "library.db")
    try:
        chat = library.last_chat()
        assert chat is not None
        return [f"{entry.speaker}: {entry.text}" for entry in library.entries(chat.id)]
    finally:
        library.close()


def test_every_command_of_the_app_is_there_or_has_another_in_its_place() -> None:
    wanted = {action.slash for action in ACTIONS if action.slash}
    assert wanted <= COMMANDS.keys() | INSTEAD.keys() | {"help"}
    assert not COMMANDS.keys() & INSTEAD.keys()


def test_an_adapter_goes_on_and_off(home: Path) -> None:
    folder = write_adapter_folder(home / "noir", model_path())
    typed = f"/adapter {home}/none.gguf\n/adapter {folder} 0.5\n/adapter {folder}/no 1 2\n/quit\n"
    lines = piped(home, typed, CARD)
    on = next(line for line in lines if "Adapters that are on" in line)
    assert "noir at 0.5" in on
    assert any("none.gguf" in line for line in lines[: lines.index(on)])
    settings = tomllib.loads((home / "config" / "settings.toml").read_text(encoding="utf-8"))
    assert settings["adapters"] == [{"path": str(folder), "scale": 0.5}]
    assert any("No adapter is on" in line for line in piped(home, "/adapter off\n/quit\n", CARD))


def test_an_evening_in_a_pipe(home: Path) -> None:
    lines = piped(home, '"Somebody open it," Wren said.\n/quit\nnever read\n', CARD)
    at = lines.index('Wren: "Somebody open it," Wren said.')
    assert lines[at + 1].startswith("Maren: ") and len(lines[at + 1]) > len("Maren: ")
    said, reply = story(home)[-2:]
    assert said == lines[at]
    assert reply.split() == " ".join(lines[at + 1 :]).split()
    # It goes on where it was left, and the end of the input is an end.
    again = piped(home, "\n/next Tob\n@Tobias You?")
    assert lines[at] in again and "(Next: Tobias.)" in again
    assert again[-1] != "Wren: You?" and "Wren: You?" in again
    assert story(home)[-2] == "Wren: You?"


def test_acts_on_messages(home: Path) -> None:
    typed = (
        "/insert One fish. Two fish.\n/down\n/edit Three fish.\n/undo\n/redo\n/split fish\n"
        "/versions\n/up\n/delete\n/bin\n/roll 2d6\n/insert @Tobias Ho!\n/note --depth 2 Be kind.\n"
        "/notes\n/cast Bo: A dog.\n/cast Bo\n/lore Bell (bell, bells): It rings.\n/lore bell\n"
        "/find fish\n/enter Bo\n/leave Bo trots off\n/scene\n/export html\n/whisper Maren Hush.\n"
        "/export-lore agnai OUT\n"
    )
    (home / "out").mkdir()
    typed = typed.replace("/export html", "/export html OUT").replace("OUT", f"{home / 'out'}")
    lines = piped(home, typed, CARD)
    text = "\n".join(lines)
    assert "Wren: One fish. Two fish." in lines and "Wren: Three fish." in lines
    assert "(Undone: Edit a message.)" in lines and "(Redone: Edit a message.)" in lines
    assert "Tobias: Ho!" in lines and "Bo: A dog." in lines and "Bell: It rings." in lines
    assert "(Bo trots off.)" in lines and "Wren: (whispers to Maren) Hush." in lines
    assert "Wren rolls 2d6: " in text and "Be kind." in text and "There is no" not in text
    assert len(list((home / "out").glob("*.html"))) == 1
    assert '"It rings."' in next((home / "out").glob("*.json")).read_text()


def test_what_an_edit_tells_of_taste(home: Path) -> None:
    (home / "config" / "settings.toml").write_text("max_tokens = 400\nlength = 'nano'\n")
    lines = piped(home, '/taste\n"Somebody open it," Wren said.\n/edit Aye.\n/taste\n', CARD)
    assert "(No reply of this story was kept over another one, or edited.)" in lines
    assert any(line.startswith("(In this story: 1 edited, over 1 left. `sh") for line in lines)


def test_presets_and_templates_of_other_programs(home: Path) -> None:
    folder = home / "config" / "templates"
    folder.mkdir(parents=True)
    (folder / "Novelist.txt").write_text("Write as {{char}} would.")
    typed = f"/instruction\n/instruction Novelist\n/instruction\n/export-templates {home / 'out'}\n"
    lines = piped(home, typed, CARD)
    assert "Kept with templates: Novelist." in lines
    assert "Write as Maren and Tobias would." in lines
    assert len(list((home / "out").glob("BlockML*.json"))) == 4


def test_every_command_answers_without_a_word_more(home: Path) -> None:
    words = [*COMMANDS, *INSTEAD, "help"]
    words.remove("quit")
    typed = "".join(f"/{word}\n" for word in words if word not in ("auto", "go"))
    lines = piped(home, f"{typed}/help alt\n/help playing\n/wombat\n/\n", CARD)
    assert "Traceback" not in "\n".join(lines)
    assert "(There is no /wombat: /help lists them.)" in lines


def test_the_last_import_is_told(home: Path, tmp_path: Path) -> None:
    wood = {"entries": {"0": {"key": ["wood"], "content": "Dark."}}}
    (tmp_path / "wood.json").write_text(json.dumps(wood), encoding="utf-8")
    lines = piped(home, f"/import last\n/import {tmp_path / 'wood.json'}\n/import last\n", CARD)
    assert "(Nothing was imported yet, or it was taken back.)" in lines
    assert f"{tmp_path.name}/wood.json: lorebook wood" in lines


def test_hostile_lines_are_sentences(home: Path) -> None:
    typed = b"/open 999999999999999999999\n/new \xff\xfe\n/read 99999999999999\n/read -1\n"
    typed += b"/sampler temperature=nan\n/sampler top_k=1e999 x=2\n/import /dev/null\n"
    typed += b"/import /nowhere\n"
    typed += b"/roll 9999999d9\n/cast :x\n/cast " + b"x" * 5000 + b"\n/lore :\n/auto -1\n"
    typed += b'/search "\n/next \x1b[31m\n/\x1b]0;x\x07\n/export html /proc/nowhere\n/turns x\n'
    result = subprocess.run(
        [*CHAT, "--linear", CARD],
        input=typed,
        capture_output=True,
        env={**os.environ, "SHORITUI_HOME": str(home)},
        timeout=PATIENCE,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"\x1b" not in result.stdout and b"Traceback" not in result.stdout
    assert b"\x07" not in result.stdout


def test_what_is_wrong_at_the_start_is_one_sentence(home: Path) -> None:
    for arguments in (["--story", "99"], ["nowhere"], ["--preset", "none", CARD]):
        result = subprocess.run(
            [*CHAT, "--linear", *arguments],
            input="",
            capture_output=True,
            text=True,
            env={**os.environ, "SHORITUI_HOME": str(home)},
            timeout=PATIENCE,
            check=False,
        )
        assert result.returncode == 1 and result.stderr.count("\n") == 1, result.stderr


def test_a_persona_that_cannot_be_read_costs_a_sentence(home: Path) -> None:
    settings, persona = home / "config" / "settings.toml", home / "config" / "personas" / "ash.toml"
    persona.parent.mkdir()
    persona.write_text('[[character]]\nname = "Ash"\ntalkativeness = "x"\n', encoding="utf-8")
    settings.write_text(
        settings.read_text(encoding="utf-8") + 'persona = "Ash"\n', encoding="utf-8"
    )
    told = "\n".join(piped(home, "/quit\n", "gannet-rock"))
    assert "ash.toml: line 3" in told and "You are Wren" in told


def test_a_dumb_terminal_chooses_lines_and_ctrl_c_stops_a_reply(home: Path) -> None:
    (home / "config" / "settings.toml").write_text(LONG, encoding="utf-8")
    env = {"SHORITUI_HOME": str(home), "TERM": "dumb"}
    with Terminal((*CONTROLLED, *CHAT, CARD), env=env) as screen:
        screen.wait_for("/help lists more")

        for asked in range(1, 6):
            screen.press("Hello.", "enter")

            def written(text: str, asked: int = asked) -> str:
                _, said, rest = text.rpartition("Wren: Hello.\n")
                return rest if text.count(said or "?") >= asked else ""

            screen.wait_for(
                lambda text: len(written(text).split()) > 8 or "\nWren:" in written(text)
            )
            if "\nWren:" not in screen.text.rpartition("Wren: Hello.\n")[2]:
                break  # else the model had little to say: once more
        screen.press("ctrl+c")
        screen.wait_for(lambda text: text.rstrip().endswith("Wren:"))  # maybe after ^C
        screen.press("/who", "enter")
        screen.wait_for("Wren: you")
        screen.press("ctrl+c")
        screen.wait_for("Once more")
        screen.press("ctrl+d")
        assert screen.wait_until_ended() == 0
        assert b"\x1b" not in screen.output
    hello, reply = story(home)[-2:]
    assert hello == "Wren: Hello." and len(reply.split()) > 5
