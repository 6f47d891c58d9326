"""Whose turn it is."""

from __future__ import annotations

from shoritui.cards import Character
from shoritui.director import next_speaker
from shoritui.story import Entry
from tests.director.conftest import SCENE

CAST = SCENE.characters


def story(*messages: tuple[str, str]) -> list[Entry]:
    return [
        Entry(at, None, "message", speaker, None, text, "complete", 0.0, 1)
        for at, (speaker, text) in enumerate(messages)
    ]


def test_the_first_of_the_cast_begins() -> None:
    assert next_speaker(CAST, "Wren", []) == "Mara"


def test_the_character_named_last_answers() -> None:
    assert next_speaker(CAST, "Wren", story(("Wren", "Mara, ask Isolde."))) == "Isolde"


def test_an_alias_counts_and_part_of_a_word_does_not() -> None:
    assert next_speaker(CAST, "Wren", story(("Wren", "Aye, captain!"))) == "Mara"
    said = story(("Mara", "Hm."), ("Wren", "The Tobins of Marazion."))
    assert next_speaker(CAST, "Wren", said) == "Tobin"


def test_nobody_answers_themselves_while_others_are_there() -> None:
    assert next_speaker(CAST, "Wren", story(("Mara", "Mara yawned."))) == "Tobin"
    alone = (Character(name="Mara"), Character(name="Wren"))
    assert next_speaker(alone, "Wren", story(("Mara", "Hm."))) == "Mara"


def test_else_the_longest_silent_speaks_and_never_the_user() -> None:
    said = story(("Mara", "a"), ("Tobin", "b"), ("Isolde", "c"), ("Wren", "d"))
    assert next_speaker(CAST, "Wren", said) == "Mara"
    assert next_speaker((Character(name="Wren"),), "Wren", []) == ""
