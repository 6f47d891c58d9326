"""`shoritui lore`: lorebooks are listed, and written for other programs."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands.process import shoritui

BOOK = {
    "entries": {
        "0": {
            "uid": 0,
            "key": ["fog"],
            "content": "The fog comes at dusk.",
            "position": 7,
            "outletName": "sea",
            "mine": {"a": 1},
        },
        "4": {"uid": 4, "key": [], "content": "", "comment": "A draft"},
    },
    "mine": True,
}


def test_a_lorebook_goes_out_as_it_came(tmp_path: Path) -> None:
    home, source = tmp_path / "home", tmp_path / "Sea.json"
    source.write_text(json.dumps(BOOK))
    done = shoritui("import", source, home=home)
    assert "Not used, but kept beside it: mine, position, outlet." in done.stdout
    listed = shoritui("lore", home=home)
    assert listed.stdout.split() == ["NAME", "PIECES", "TITLE", "sea", "1", "Sea"]

    back = shoritui("lore", "export", "sea", "--as", "sillytavern", "--to", tmp_path, home=home)
    assert back.stdout.strip() == str(tmp_path / "Sea (2).json")
    assert json.loads((tmp_path / "Sea (2).json").read_text()) == BOOK
    again = shoritui("lore", "export", "sea", "--as", "risu", "--to", tmp_path, home=home)
    assert again.stdout.strip() == str(tmp_path / "Sea (3).json")

    toml = home / "config/lore/sea.toml"
    toml.write_text(toml.read_text().replace("at dusk", "at dawn"))
    shoritui(
        "lore", "export", toml, "--as", "sillytavern", "--to", tmp_path / "new.json", home=home
    )
    new = json.loads((tmp_path / "new.json").read_text())
    assert new["entries"]["0"].pop("content") == "The fog comes at dawn."
    assert new["entries"]["0"].items() <= BOOK["entries"]["0"].items()  # type: ignore[index]
    assert new["entries"]["4"] == BOOK["entries"]["4"]  # type: ignore[index]


def test_what_has_no_lore_is_said_in_a_sentence(tmp_path: Path) -> None:
    home, chat = tmp_path / "home", tmp_path / "chat.json"
    chat.write_text("[1]")
    card = tmp_path / "orla.toml"
    card.write_text('[[character]]\nname = "Orla"\n')
    for name in ("nobody", chat, tmp_path / "gone.json", card):
        done = shoritui("lore", "export", name, "--as", "v3", "--to", tmp_path, home=home)
        assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "There are no lorebooks yet" in shoritui("lore", home=home).stdout
