"""Made-up swipes are preferences that a tier can learn, and tell nothing but how long is liked."""

from __future__ import annotations

import json
from pathlib import Path

from shoritui.demo import STORIES
from shoritui.demo.making.swipes import main
from shoritui.finetune.data.preferences import Preference, preferences_of


def made(folder: Path, *options: str) -> list[Preference]:
    path = folder / "swipes.jsonl"
    main([*options, str(path)])
    found = list(preferences_of(path, path.name))
    return [each for each in found if isinstance(each, Preference)]


def test_each_is_a_short_reply_beside_a_long_one_and_a_torso_in_the_same_place(
    tmp_path: Path,
) -> None:
    swipes = made(tmp_path)
    assert len(swipes) == 200
    for each in swipes:
        long, torso = each.rejected
        assert each.chosen.body.startswith(torso.body) and torso.length == long.length
        assert long.body.startswith(each.chosen.body) and long.length == each.chosen.length
        assert each.chosen.body.count('"') % 2 == 0
        assert len(each.chosen.body.split()) < 26 <= 30 <= len(long.body.split())
    assert len({each.chosen.length for each in swipes}) == 4


def test_the_seed_decides_and_held_out_stories_are_not_among_them(tmp_path: Path) -> None:
    assert made(tmp_path, "--seed", "3") == made(tmp_path, "--seed", "3")
    assert made(tmp_path, "--seed", "3") != made(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "swipes.jsonl").read_text().splitlines()]
    held = {path.stem for path in (STORIES / "held-out").iterdir()}
    assert not held & {row["chat"] for row in rows}
