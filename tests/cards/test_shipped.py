"""The scenes that ship: they load, and each shows what a card can do."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from shoritui.blockml import lex
from shoritui.cards import Card, find_cards, load_card, reference
from shoritui.text import clean

FOLDER = Path(__file__).parents[2] / "characters"
FILES = sorted(FOLDER.glob("*.toml"))
ASIDE = {"dialogue", "thought", "sound", "emphasis", "quote", "loud"}


STORY = FOLDER / "river-at-the-table.toml"
"""A story already under way: everybody speaks in its long opening."""


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def card(request: pytest.FixtureRequest) -> Card:
    return load_card(request.param)


def test_there_are_scenes_enough_and_nobody_is_in_two() -> None:
    found, problems = find_cards([FOLDER])
    assert problems == []
    assert len(found) >= 5
    names = [each.name for _, card in found for each in card.characters]
    assert len(set(names)) == len(names) >= 10


def test_a_scene_says_what_it_is(card: Card) -> None:
    assert card.title
    assert len(card.tags) >= 3
    assert card.scenario
    assert 2 <= len(card.characters) <= 4
    assert sum(character.user for character in card.characters) == 1


def test_everybody_is_described_in_the_style_of_a_card(card: Card) -> None:
    for character in card.characters:
        assert 60 <= len(character.description.split()) <= 140
        assert character.name in character.description.splitlines()[0]
        for label in ("Name", "Age", "Personality", "Appearance", "Carries", "Background"):
            assert f"**{label}:** " in character.description


def test_lore_comes_with_and_without_keys(card: Card) -> None:
    assert any(entry.keys for entry in card.lore)
    assert any(not entry.keys for entry in card.lore)
    for entry in card.lore:
        for key in entry.keys[:1]:
            assert key.casefold() in f"{entry.name} {entry.text}".casefold()


@pytest.mark.parametrize(
    "file", [file for file in FILES if file != STORY], ids=lambda file: file.stem
)
def test_the_opening_leaves_room_for_the_user(file: Path) -> None:
    card = load_card(file)
    (user,) = (character.name for character in card.characters if character.user)
    assert 2 <= len(card.messages) <= 3
    assert all(message.speaker != user for message in card.messages)
    assert len({message.speaker for message in card.messages}) == len(card.messages)


def test_one_story_is_already_under_way_and_the_user_has_the_next_word() -> None:
    story = load_card(STORY)
    (user,) = (character.name for character in story.characters if character.user)
    speakers = [message.speaker for message in story.messages]
    assert len(speakers) >= 20 and speakers[-1] != user
    assert set(speakers) == {character.name for character in story.characters}
    assert all(one != other for one, other in itertools.pairwise(speakers))
    assert all(message.length is None for message in story.messages)


def test_the_opening_shows_every_kind_of_prose(card: Card) -> None:
    spans = [span for message in card.messages for span in lex(message.text)]
    assert {kind for span in spans for kind in span.kinds} >= ASIDE


def test_marks_are_closed_and_no_text_needs_cleaning(card: Card) -> None:
    texts = [card.title, card.scenario, *(entry.text for entry in card.lore)]
    texts += [character.description for character in card.characters]
    texts += [message.text for message in card.messages]
    for text in texts:
        assert clean(text) == text
        assert not set("▀▄“”‘’—") & set(text)
        for paragraph in text.split("\n"):
            assert paragraph.count('"') % 2 == 0
            assert paragraph.count("''") % 2 == 0
            assert paragraph.count("_") % 2 == 0
            assert paragraph.count("*") % 2 == 0


def test_the_reference_lists_every_field_of_a_card() -> None:
    text = reference()
    for field in ("title", "tags", "scenario", "name", "aliases", "description", "user"):
        assert f"| `{field}` |" in text
    for field in ("text", "keys", "speaker", "length"):
        assert f"| `{field}` |" in text
    for table in ("[[character]]", "[[lore]]", "[[message]]"):
        assert table in text
