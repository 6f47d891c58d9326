"""The scenes that ship: they load, and each shows what a card can do."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoritui.blockml import clean, lex
from shoritui.cards import Card, find_cards, load_card, reference

FOLDER = Path(__file__).parents[2] / "characters"
FILES = sorted(FOLDER.glob("*.toml"))
ASIDE = {"dialogue", "thought", "sound", "emphasis", "quote", "loud"}


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


def test_the_opening_leaves_room_for_the_user(card: Card) -> None:
    (user,) = (character.name for character in card.characters if character.user)
    assert 2 <= len(card.messages) <= 3
    assert all(message.speaker != user for message in card.messages)
    assert len({message.speaker for message in card.messages}) == len(card.messages)


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
