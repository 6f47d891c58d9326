"""`shoritui presets`, and presets and templates through `shoritui import`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands.process import shoritui


def test_a_preset_comes_in_is_there_at_once_and_goes_out_whole(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "Wild Night.json"
    values = {"temp": 1.4, "rep_pen": 1.1, "top_p": 0.9, "min_p": 0.05, "top_k": 0, "tfs": 0.95}
    values |= {"temperature_last": True, "genamt": 300}
    file.write_text(json.dumps(values))
    done = shoritui("import", file, home=home)
    assert done.returncode == 0
    assert "The preset wild-night, from SillyTavern: " in done.stdout
    assert "Without counterpart, but kept beside it: tfs 0.95, genamt 300." in done.stdout
    assert "wild-night          Wild Night" in shoritui("presets", home=home).stdout
    out = shoritui("presets", "export", "wild-night", "--to", tmp_path / "out", home=home)
    written = json.loads((tmp_path / "out" / "Wild Night.json").read_text())
    assert out.returncode == 0 and {name: written[name] for name in values} == values
    assert "already here: preset" in shoritui("import", file, home=home).stdout
    assert shoritui("import", "--undo", home=home).returncode == 0
    assert "wild-night" not in shoritui("presets", home=home).stdout
    assert not list((home / "config" / "presets").iterdir())


def test_a_preset_never_stands_in_for_one_that_ships(tmp_path: Path) -> None:
    file = tmp_path / "Neutral.yaml"
    file.write_text("temperature: 1.8\n")
    shoritui("import", file, home=tmp_path / "home")
    listed = json.loads(shoritui("presets", "--json", home=tmp_path / "home").stdout)["presets"]
    found = {each["name"]: each["sampling"]["temperature"] for each in listed}
    assert found["neutral"] == 1.0 and found["neutral-2"] == 1.8


def test_a_master_export_is_a_template_and_a_preset(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "all.json"
    bundle = {
        "instruct": {"input_sequence": "### Instruction:", "name": "Alpaca", "wrap": True},
        "sysprompt": {"name": "Kind", "content": "Be kind to {{user}}."},
        "preset": {"name": "Warm", "temp": 1.2, "top_p": 1, "min_p": 0.1, "top_k": 0, "rep_pen": 1},
    }
    file.write_text(json.dumps(bundle))
    done = shoritui("import", file, home=home)
    assert done.returncode == 0 and "/instruction offers it." in done.stdout
    assert "The preset warm, from SillyTavern" in done.stdout
    assert (home / "config" / "templates" / "all.txt").read_text() == "Be kind to {{user}}.\n"
    assert json.loads((home / "config" / "templates" / "all.json").read_text()) == bundle


def test_templates_are_written_and_known_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = shoritui("presets", "templates", "--to", tmp_path / "out", home=home)
    files = [Path(line) for line in done.stdout.splitlines()[:4]]
    assert done.returncode == 0 and all(each.is_file() for each in files)
    assert "▀description{{newline}}{{char}}{{newline}}" in done.stdout
    back = shoritui("import", *files, home=home)
    assert back.returncode == 0 and "/instruction offers it." in back.stdout
    assert back.stdout.count("ShoriTUI writes BlockML by itself") == 3


def test_what_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    done = shoritui("presets", "export", "wild", "--to", tmp_path, home=tmp_path / "home")
    assert done.returncode == 1 and done.stderr.startswith("shoritui: There is no preset wild:")
    blocked = tmp_path / "file"
    blocked.write_text("")
    for words in (("templates",), ("export", "neutral")):
        done = shoritui("presets", *words, "--to", blocked, home=tmp_path / "home")
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert "cannot be written" in done.stderr
