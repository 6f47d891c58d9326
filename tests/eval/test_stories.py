"""Stories, places in them, and the replies that are asked for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from shoritui.blockml import LENGTHS
from shoritui.errors import UserError
from shoritui.eval.stories import QUICK, Plan, chosen, load_stories, places, tasks
from tests.eval.stories import BELL, LOCK, place, story, write_stories


def test_a_place_knows_what_comes_before_it() -> None:
    third = place(2)
    assert (third.speaker, third.others) == ("Corin", ["Ada", "Bram"])
    assert third.prompt.startswith("▀title\nThe Lock at Pellow▄\n")
    assert "bread in the oven" in third.recent and third.written not in third.prompt
    assert [entry.length for entry in third.chat.entries] == [None, None]
    assert third.chat.path()[-1].text == '"I\'ve bread in the oven," said Bram.'
    opening = place(0)
    assert opening.recent == "" and opening.chat.chat.head is None


def test_the_opening_and_the_end_are_among_the_places() -> None:
    whole = story()
    assert [each.at for each in places(whole, 2)] == [whole.messages[0], whole.messages[-1]]
    assert len(places(whole, 50)) == len(whole.messages)


def test_each_hint_is_asked_for_equally_often() -> None:
    groups = tasks([story(LOCK, "lock"), story(BELL, "bell")], Plan(0, 3, 6), 5)
    every = [task for group in groups for task in group]
    counts = Counter(task.hint for task in every)
    assert set(counts) == set(LENGTHS)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len({task.seed for task in every}) == len(every)
    assert all(len({task.place.at for task in group}) == 1 for group in groups)


def test_the_same_seed_chooses_the_same_stories() -> None:
    many = [story(LOCK, str(number)) for number in range(20)]
    names = [each.name for each in chosen(many, QUICK, 1)]
    assert names == [each.name for each in chosen(many, QUICK, 1)]
    assert len(names) == QUICK.stories
    assert len(chosen(many, Plan(0, 1, 1), 1)) == 20


def test_a_folder_of_stories(tmp_path: Path) -> None:
    (tmp_path / "both.txt").write_text(f"{LOCK}---\n{BELL}", encoding="utf-8")
    found = load_stories(write_stories(tmp_path))
    assert [each.name for each in found] == ["bell", "both 1", "both 2", "lock"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"Once upon a time.", "is no story: line 1: this text stands outside"),
        ("▀title\nNobody▄\n".encode(), "nobody says anything in it"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_what_is_no_story_is_told(tmp_path: Path, text: bytes, why: str) -> None:
    (tmp_path / "odd.txt").write_bytes(text)
    with pytest.raises(UserError, match=why):
        load_stories(tmp_path)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no stories"):
        load_stories(tmp_path)
    (tmp_path / "file").touch()
    for name, why in (("file", "is a file, not a folder"), ("nowhere", "is not there")):
        with pytest.raises(UserError, match=why):
            load_stories(tmp_path / name)
