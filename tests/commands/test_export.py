"""`shoritui export`: one thing by its name, or everything, which comes back as it was."""

from __future__ import annotations

import json
from pathlib import Path

from tests.benchmarks._tavern import write_tavern
from tests.commands.process import shoritui


def test_everything_goes_out_and_comes_in_elsewhere(tmp_path: Path) -> None:
    tavern, home, out = tmp_path / "default-user", tmp_path / "home", tmp_path / "out"
    write_tavern(tavern, cards=2, chats=3, lorebooks=1, size=6000)
    preset = {"temp": 0.7, "min_p": 0.1, "top_p": 1, "rep_pen": 1}
    (tavern / "noir.json").write_text(json.dumps(preset), encoding="utf-8")
    assert (
        "2 cards, 1 preset, 1 lorebook, 3 stories" in shoritui("import", tavern, home=home).stdout
    )
    done = shoritui("export", "--all", out, home=home)
    assert done.stdout == f"Written to {out}: 2 cards, 1 lorebook, 1 preset, 3 stories.\n", done
    assert len([*(out / "stories").glob("*.json")]) == 3
    assert (out / "ShoriTUI/characters/person-0.toml").is_file()
    theirs = out / "SillyTavern"
    assert sorted(each.name for each in (theirs / "chats").iterdir()) == ["Person 0", "Person 1"]
    elsewhere = shoritui("import", theirs, home=tmp_path / "elsewhere")
    assert "Imported: 1 preset, 2 cards, 1 lorebook, 3 stories." in elsewhere.stdout
    whole = shoritui("import", out, home=tmp_path / "here")
    assert "Imported: 2 cards, 1 lorebook, 1 preset, 3 stories." in whole.stdout, whole.stdout
    assert {each.name for each in (tmp_path / "here/config/characters").iterdir()} == {
        each.name for each in (home / "config/characters").iterdir()
    }
    again = shoritui("export", "--all", out, home=home)
    assert again.returncode == 1 and "is not empty: name a new folder" in again.stderr


def test_one_thing_goes_out_by_its_name(tmp_path: Path) -> None:
    tavern, home = tmp_path / "default-user", tmp_path / "home"
    write_tavern(tavern, cards=1, chats=1, lorebooks=1, size=3000)
    shoritui("import", tavern, home=home)

    def out(*words: str) -> str:
        done = shoritui("export", *words, "--to", tmp_path, home=home)
        return done.stdout + done.stderr

    assert out("1").endswith("-1.json\n")
    assert out("1", "--as", "html").endswith("-1.html\n")
    assert out("person-0").endswith("Person-0.png\n")
    assert out("person-0", "--as", "v2").endswith("Person-0.v2.json\n")
    assert out("world-0").endswith(".json\n")
    assert "steady" in out("steady").casefold()
    assert "No story, card, lorebook or preset is called 'nobody'." in out("nobody")
    assert "There is no format 'xml'" in out("1", "--as", "xml")
    assert "'1' is a story: use shoritui chats export." in out("1", "--as", "png")
    assert "Name what to export" in out()


def test_nothing_to_export(tmp_path: Path) -> None:
    done = shoritui("export", "--all", tmp_path / "out", home=tmp_path / "home")
    assert done.returncode == 0 and "there is nothing yet" in done.stdout
