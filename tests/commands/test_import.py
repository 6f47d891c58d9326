"""`shoritui import`: each file becomes what it is, and a bad one stops none of the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.benchmarks._tavern import write_tavern
from tests.commands.process import shoritui


def test_files_become_cards_lorebooks_and_chats(tmp_path: Path) -> None:
    files = {
        "orla.json": json.dumps({"name": "Orla", "description": "Old.", "first_mes": "Hm."}),
        "bad.png": "\x89PNG",
        "wood.json": json.dumps({"entries": {"0": {"key": ["wood"], "content": "Dark."}}}),
        "story.txt": "▀message\nMara: Hello.▄\n▀message\nWren: Yes.▄\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="latin-1" if name == "bad.png" else "utf-8")
    home = tmp_path / "home"
    done = shoritui("import", *(tmp_path / name for name in files), home=home)
    card, lorebook = home / "config/characters/orla.toml", home / "config/lore/wood.toml"
    assert done.stdout.splitlines() == [
        f"Orla: {card}.",
        f"1 piece of lore: {lorebook}.",
        "Imported: 1 (story); you are Wren",
        "Imported: 1 card, 1 lorebook, 1 story; 1 file left.",
    ]
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "bad.png" in done.stderr
    prompt = shoritui("prompt", "orla", "wood", home=home)
    assert prompt.returncode == 0 and "Old." in prompt.stdout and "Orla: Hm." in prompt.stdout


def test_a_folder_comes_in_once_and_goes_back(tmp_path: Path) -> None:
    folder, home = tmp_path / "default-user", tmp_path / "home"
    write_tavern(folder, cards=2, chats=2, lorebooks=1, size=4000)
    (folder / "settings.json").write_text("{}", encoding="utf-8")
    done = shoritui("import", folder, home=home)
    assert done.returncode == 0 and done.stderr == ""
    lines = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert lines[:5] == [
        "FROM",
        "characters/Person 0.png",
        "characters/Person 1.png",
        "worlds/World 0.json",
        "chats/Person 0/Person 0 - 2024-10-01@20h00m.jsonl",
    ]
    assert lines[6:8] == ["LEFT", "settings.json"]
    assert lines[-1] == "Imported: 2 cards, 1 lorebook, 2 stories; 1 file left."
    again = shoritui("import", folder, home=home)
    assert "Imported: nothing new; 5 files already here; 1 file left." in again.stdout
    back = shoritui("import", "--undo", home=home)
    assert back.stdout.splitlines()[0] == "Taken back: 5 things."
    assert not [*(home / "config").rglob("*.toml")]
    assert "Person 0" in shoritui("chats", "list", "--bin", home=home).stdout
    assert "There is no import to take back." in shoritui("import", "--undo", home=home).stderr
    assert "2 cards" in shoritui("import", folder, home=home).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl+C is no signal there")
def test_ctrl_c_stops_and_what_is_in_stays_in(tmp_path: Path) -> None:
    folder, home = tmp_path / "default-user", tmp_path / "home"
    write_tavern(folder, cards=150, chats=0, lorebooks=0, size=0)
    command = [sys.executable, "-m", "shoritui", "import", str(folder)]
    environment = {**os.environ, "SHORITUI_HOME": str(home)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        journal = home / "data/imports.jsonl"
        deadline = time.monotonic() + 60
        while not journal.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        printed, _ = running.communicate(timeout=60)
    assert running.returncode == 130 and "Stopped; what is in stays in." in printed
    cards = len([*(home / "config/characters").glob("*.toml")])
    assert 0 < cards < 150 and f"Imported: {cards} card" in printed


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl+C is no signal there")
@pytest.mark.parametrize("module", ["argparse", "shoritui.interop.folders", "shoritui.story"])
def test_ctrl_c_while_the_command_loads_is_a_word(tmp_path: Path, module: str) -> None:
    code = (
        "import os, runpy, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "sys.argv = ['shoritui', 'import', '.']\n"
        "for name in [each for each in sys.modules if each.startswith('argparse')]:\n"
        "    del sys.modules[name]\n"
        "runpy.run_module('shoritui', run_name='__main__')\n"
    )
    environment = {**os.environ, "SHORITUI_HOME": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "shoritui: Stopped.\n")


def test_words_that_make_no_import(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for words in (
        ["import", ""],
        ["export", "x", "--to", ""],
        ["export", "--all", " "],
        ["chat", ""],
    ):
        told = shoritui(*words, home=home)
        assert told.returncode == 2 and "the name is empty" in told.stderr
    assert not home.exists()
    assert "Name a file or a folder" in shoritui("import", home=home).stderr
    assert "it needs no path" in shoritui("import", "--undo", "x", home=home).stderr
    assert "none.png cannot be read" in shoritui("import", tmp_path / "none.png", home=home).stderr
