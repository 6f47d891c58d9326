"""The corpus generator: what it writes is truthful, well formed, and split cleanly."""

from __future__ import annotations

import re

import pytest

from shoritui.blockml import Block, length_for, parse, render_all
from shoritui.demo.making.beats import PHASES, by_section, corpus_beats, fault, read_beats
from shoritui.demo.making.cast import Plan
from shoritui.demo.making.marked_text import fill
from shoritui.demo.making.scenes import Scene, make_scene
from shoritui.demo.making.words import TEMPERS, is_unseen

SEEDS = range(30)


def count(text: str) -> int:
    """Words and marks: as good a measure as tokens here."""
    return len(re.findall(r"\w+|[^\w\s]", text))


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(seed, Plan(1200), count) for seed in SEEDS]


def test_the_writing_is_enough_and_keeps_the_rules() -> None:
    beats, faults = corpus_beats()
    assert faults == ()
    assert len({beat.text for beat in beats}) >= 1500
    assert set(by_section()) >= {(phase, temper) for phase in PHASES for temper in TEMPERS}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{me} laughed.", ""),
        ("{me} laughed at {nobody}.", "unknown slot nobody"),
        ('"Hello, said {me}.', "an open quote"),
        ("_Hello, thought {me}.", "an open thought"),
        ("*Clonk. {me} fell.", "an open asterisk"),
        ("{me} said “hello”.", "the character “ is not allowed"),
    ],
)
def test_a_beat_that_breaks_the_rules_is_told(text: str, found: str) -> None:
    assert fault(text) == found


def test_a_bad_line_does_not_hide_the_good_ones() -> None:
    beats, faults = read_beats("x.txt", 'lost\n[talk.dry]\n{me} sat.\n{me} said "no.\n{me} left.')
    assert [beat.text for beat in beats] == ["{me} sat.", "{me} left."]
    assert faults == [
        "x.txt, line 1: it stands before the first [phase.temper]",
        "x.txt, line 4: an open quote",
    ]


def test_slots_are_marked_as_news_and_then_as_repetition() -> None:
    known: set[str] = set()
    text = fill("{me} has a {prop}; {me}!", {"me": "Ada", "prop": "iron key"}, known)
    assert text.text == "Ada has an iron key; Ada!"
    assert [(text.text[s.start : s.end], s.mark) for s in text.spans] == [
        ("Ada", "news"),
        ("iron key", "news"),
        ("Ada", "repeat"),
    ]


def test_the_same_seed_gives_the_same_scene() -> None:
    assert make_scene(3, Plan(300), count) == make_scene(3, Plan(300), count)
    assert make_scene(3, Plan(300), count).text != make_scene(4, Plan(300), count).text


def test_every_scene_is_exactly_its_parts(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.text == render_all(scene.parts)
        assert tuple(parse(scene.text)) == scene.parts


def test_every_length_hint_is_true(scenes: list[Scene]) -> None:
    hinted = [
        part
        for scene in scenes
        for part in scene.parts
        if isinstance(part, Block) and part.length is not None
    ]
    assert {part.length for part in hinted} >= {"nano", "tiny", "short", "medium", "long"}
    for part in hinted:
        assert part.length == length_for(count(f" {part.body}"))


def test_the_text_has_closed_marks_and_plain_characters(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert not re.search(r"[{}“”‘’—–…\t]", scene.text)
        for part in scene.parts:
            if isinstance(part, Block) and part.role == "message":
                assert fault(part.body) == "", part.body


def test_speakers_take_no_fixed_order_and_every_role_occurs(scenes: list[Scene]) -> None:
    roles = {part.role for scene in scenes for part in scene.parts if isinstance(part, Block)}
    assert roles == {"title", "tags", "lore", "description", "scenario", "message", "ooc"}
    assert {len(scene.names) for scene in scenes} >= {2, 3, 4}
    assert any("[INST]" in scene.text for scene in scenes)


def test_messages_speak_of_what_stands_before_them(scenes: list[Scene]) -> None:
    for scene in scenes:
        frame = scene.text[: scene.opening].casefold()
        first = scene.text[scene.opening :].partition("▀title")[0]
        story = first.casefold()
        for thing in scene.places:
            if thing.casefold() in story:
                assert thing.casefold() in frame


def test_unseen_scenes_share_no_name_thing_or_place_with_training(scenes: list[Scene]) -> None:
    unseen = [make_scene(seed, Plan(600, unseen=True), count) for seed in SEEDS]

    def used(side: list[Scene]) -> set[str]:
        return {w for scene in side for w in (*scene.names, *scene.props, *scene.places)}

    assert not used(scenes) & used(unseen)
    assert all(is_unseen(name.split()[-1]) for scene in unseen for name in scene.names)
