"""`shoritui export`: one thing by its name, or everything, which comes back as it was."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from shoritui.cards import card_folders
from shoritui.errors import UserError
from shoritui.interop.folders import export_all
from tests.benchmarks._tavern import card_png, write_tavern
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


def test_templates_and_personas_go_out_for_both(tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    context = {"name": "ChatML", "story_string": "{{description}}", "chat_start": "***"}
    instruct = {"name": "ChatML", "input_sequence": "<|im_start|>", "system_prompt": "Be kind."}
    prompt = {"name": "Novel", "content": "Write a novel."}
    for kind, values in {"context": context, "instruct": instruct, "sysprompt": prompt}.items():
        (tmp_path / kind).mkdir()
        file = tmp_path / kind / f"{values['name']}.json"
        file.write_text(json.dumps(values), encoding="utf-8")
        shoritui("import", file, home=home)
    settings = {
        "power_user": {"personas": {"a.png": "Ada"}, "persona_descriptions": {"a.png": "B"}}
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    shoritui("import", tmp_path / "settings.json", home=home)
    done = shoritui("export", "--all", out, home=home)
    assert done.stdout.endswith(": 3 templates, 1 file of personas.\n"), done
    for kind, values in {"context": context, "instruct": instruct, "sysprompt": prompt}.items():
        assert json.loads((out / f"SillyTavern/{kind}/{values['name']}.json").read_text()) == values
    for root in (out, out / "SillyTavern"):
        back = shoritui("import", root, home=tmp_path / root.name).stdout
        assert "context template ChatML" in back and "instruct template ChatML" in back
        assert "system prompt template Novel" in back and "1 persona" in back, back
        assert "(2)" not in back
        kept = tmp_path / root.name / "config/templates/ChatML.txt"
        assert kept.read_text(encoding="utf-8") == "Be kind.\n"


def test_names_go_out_as_they_came_and_differ_by_more_than_capitals(tmp_path: Path) -> None:
    home, out, tavern = tmp_path / "home", tmp_path / "out", tmp_path / "default-user"
    (tavern / "characters").mkdir(parents=True)
    (tavern / "worlds").mkdir()
    for number, name in enumerate(("ada", "ADA", "Ada", "CON")):
        data = {"name": name, "description": f"{name}!", "extensions": {"world": "Old Eldoria"}}
        card = {"spec": "chara_card_v2", "data": data}
        (tavern / f"characters/{number}.png").write_bytes(card_png(card))
        lines = [{"name": name, "is_user": False, "mes": "So."}]
        (tavern / f"chats/{number}").mkdir(parents=True)
        (tavern / f"chats/{number}/a.jsonl").write_text(json.dumps(lines[0]), encoding="utf-8")
    book = {"entries": {"0": {"uid": 0, "key": ["x"], "content": "Y.", "comment": "x"}}}
    (tavern / "worlds/Old Eldoria.json").write_text(json.dumps(book), encoding="utf-8")
    shoritui("import", tavern, home=home)
    assert shoritui("export", "--all", out, home=home).returncode == 0
    theirs = out / "SillyTavern"
    assert [each.name for each in (theirs / "worlds").iterdir()] == ["Old Eldoria.json"]
    files = sorted(each.stem for each in (theirs / "characters").iterdir())
    assert len({each.casefold() for each in files}) == 4 and "CON_" in files, files
    assert files == sorted(each.name for each in (theirs / "chats").iterdir())
    back = shoritui("import", theirs, home=tmp_path / "back")
    assert "no card of" not in back.stdout and "4 stories" in back.stdout, back.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are those of Unix")
def test_what_does_not_fit_is_taken_away_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    own = card_folders()[0]
    own.mkdir(parents=True)
    (own / "a.toml").write_text("[[character]]\nname = 'A'\n")
    (own / "large.txt").write_bytes(bytes(1 << 20))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, limits[1]))
    try:
        with pytest.raises(UserError) as caught:
            list(export_all(None, tmp_path / "out"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == f"{tmp_path / 'out'} cannot be written: File too large."
    assert not (tmp_path / "out").exists()
    assert [each.name for every in export_all(None, tmp_path / "out") for each in every] == ["a"]


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
