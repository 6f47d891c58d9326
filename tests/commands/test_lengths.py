"""`shoritui lengths` as a user runs it, with the model that ships: it stops, and goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shoritui.blockml import LENGTHS
from tests.commands.process import shoritui
from tests.eval.stories import write_stories

pytestmark = pytest.mark.slow


def test_what_is_known_is_not_measured_again(tmp_path: Path) -> None:
    stories, home = write_stories(tmp_path), tmp_path / "home"
    asked = ("lengths", "--stories", stories, "--samples", "1", "--json")
    first = shoritui(*asked, home=home)
    assert first.returncode == 0, first.stderr
    found = json.loads(first.stdout)
    assert list(found["hints"]) == list(LENGTHS)
    assert all(len(each["by_itself"]) == 1 for each in found["hints"].values())
    [kept] = (home / "cache" / "lengths").iterdir()
    table = json.loads(kept.read_text(encoding="utf-8"))
    assert table["free"] == {hint: found["hints"][hint]["by_itself"] for hint in LENGTHS}
    again = shoritui(*asked, home=home)
    assert json.loads(again.stdout) == found
    assert "replies" not in again.stderr
