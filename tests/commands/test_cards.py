"""`shoritui cards`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands.process import CARD, shoritui


def test_a_card_comes_in_and_goes_out_again(tmp_path: Path) -> None:
    file, home = tmp_path / "x.json", tmp_path / "home"
    file.write_text(json.dumps({"name": "Orla", "description": "Old.", "mine": {"a": [1, None]}}))
    shoritui("import", file, home=home)
    out = tmp_path / "orla.png"
    done = shoritui("cards", "export", "orla", "--to", out, home=home)
    assert (done.returncode, done.stdout) == (0, f"{out}\n")
    done = shoritui("cards", "export", out, "--as", "v2", "--to", tmp_path, home=home)
    found = json.loads(Path(done.stdout.strip()).read_text(encoding="utf-8"))
    assert (found["spec"], found["data"]["mine"]) == ("chara_card_v2", {"a": [1, None]})


def test_a_scene_goes_out_character_by_character(tmp_path: Path) -> None:
    card = tmp_path / "quay.toml"
    card.write_text(CARD, encoding="utf-8")
    done = shoritui("cards", "export", card, "--as", "v3", "--to", tmp_path, home=tmp_path / "h")
    assert [Path(line).name for line in done.stdout.splitlines()] == [
        "Mara.v3.json",
        "Tobin.v3.json",
    ]
    bad = shoritui("cards", "export", "nobody", home=tmp_path / "h")
    assert bad.returncode == 1 and bad.stderr.count("\n") == 1
