"""`shoritui import`: each file becomes what it is, and a bad one stops none of the others."""

from __future__ import annotations

import json
from pathlib import Path

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
    ]
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "bad.png" in done.stderr
    prompt = shoritui("prompt", "orla", "wood", home=home)
    assert prompt.returncode == 0 and "Old." in prompt.stdout and "Orla: Hm." in prompt.stdout
