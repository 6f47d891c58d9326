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


def test_a_check_says_what_is_in_cards_and_what_is_wrong(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert "no card of your own" in shoritui("cards", "check", home=home).stdout
    file = tmp_path / "x.json"
    data: dict[str, object] = {"name": "Orla", "mes_example": "{{char}}: Hm."}
    data |= {"system_prompt": "{{original}} Go."}
    data |= {"first_mes": "A {{odd}}", "alternate_greetings": ["B", "C"]}
    data |= {"post_history_instructions": "D"}
    file.write_text(json.dumps({"spec": "chara_card_v2", "data": data}), encoding="utf-8")
    shoritui("import", file, home=home)
    card = home / "config/characters/orla.toml"
    done = shoritui("cards", "check", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{card}: Orla, an instruction, examples of 1 character, 1 note, an opening of 1 message, "
        "2 other greetings",
        "  orla.toml, message 1: {{odd}} is no macro known here; it is left out.",
    ]
    bad = tmp_path / "bad.toml"
    bad.write_text('[[character]]\nname = "Orla"\n[[note]]\ntext = "x"\ndepht = 1\n')
    done = shoritui("cards", "check", "orla", bad, "--json", home=home)
    assert done.returncode == 1
    orla, wrong = json.loads(done.stdout)["cards"]
    assert not orla["error"] and "Orla" in orla["holds"]
    assert wrong["error"].endswith(
        'bad.toml: line 5: "depht" is not a field of [[note]]; did you mean "depth"?'
    )
    book = tmp_path / "wood.toml"
    book.write_text('[[lore]]\nname = "Wood"\ntext = "Dark."\n')
    assert shoritui("cards", "check", book, home=home).stdout == f"{book}: lore (1)\n"
