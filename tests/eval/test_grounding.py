"""Names and things against the prompt, and what the cards deny."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.eval import grounding
from shoritui.eval.grounding import contradictions, gender, name_like, things
from shoritui.eval.statistics import Count
from shoritui.eval.stories import Reply, by_people
from tests.eval.stories import BELL, LOCK, reply, story


@pytest.mark.parametrize("people", by_people([story(LOCK, "lock"), story(BELL, "bell")]))
def test_people_deny_nothing(people: Reply) -> None:
    assert contradictions(people) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("He gave Ada the rope.", ["Ada"]),
        ("The rope held. Then it broke.", []),
        ('"Ada," he said, "come here." Wide went the gate.', []),
        ("Brynn nodded.", ["Brynn"]),
        ("Suddenly he nodded, and SHOUTED for Mary-Ann.", ["Mary-Ann"]),
        ("On Monday I saw Mr Pell.", ["Pell"]),
    ],
)
def test_words_like_names(text: str, names: list[str]) -> None:
    assert name_like(text) == names


@given(st.sampled_from(["Zorblax", "Quentin", "Ysolde", "Kemble"]))
def test_an_invented_name_is_found(name: str) -> None:
    count = grounding.known_names(reply(f"He looked at {name}, and past {name}'s hat at Ada."))
    assert (count.part, count.whole) == (1, 3)


def test_names_of_the_prompt() -> None:
    assert grounding.uses_names(reply("He waved to Ada.")).part == 1
    assert grounding.uses_names(reply("Corin waved to Zorblax.")).part == 0


def test_things_are_uncommon_words() -> None:
    assert things("He tied the raft to the bollard with the old rope.") == ["raft", "bollard"]
    known = grounding.known_things(reply("The raft and the trombone stood by the bollard.", 3))
    assert (known.part, known.whole) == (2, 3)


def test_a_reply_answers_what_was_just_said() -> None:
    assert grounding.answers(reply('"Let it burn in the oven," he said.')) == Count(True)
    assert grounding.answers(reply("He ate an omelette.")) == Count(False)
    assert grounding.answers(reply("He ate an omelette.", 0)) is None


@pytest.mark.parametrize(
    ("description", "known"),
    [
        ("Ada is a pilot. She has a brother, and she fears him.", "she"),
        ("Magnie is Osla's nephew, forty-five.", "he"),
        ("Her apprentice, twenty, from an orchard family.", None),
        ("A kettle with opinions.", None),
        ("He loves her. She is his wife, she says.", None),
    ],
)
def test_the_pronoun_of_a_card(description: str, known: str | None) -> None:
    assert gender(description) == known


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ('"I can," he said.', 0),
        ('"I can," she said.', 1),
        ('"I can," said she.', 1),
        ("Ada braced herself. Bram steadied himself.", 0),
        ("Ada braced himself.", 1),
        ("He took off the red coat.", 0),
        ("He took off the green coat.", 1),
        ("Her gray eyes narrowed.", 0),
        ("Her grey eyes narrowed.", 0),
        ("Her blue eyes narrowed.", 1),
        ("Her blue hat fell.", 0),
    ],
)
def test_what_the_cards_deny(text: str, denied: int) -> None:
    assert len(contradictions(reply(text))) == denied


def test_an_age_the_card_has_otherwise() -> None:
    assert contradictions(reply("Ada was forty-one, and tired.", 3)) == []
    assert len(contradictions(reply("Ada was fifty, and tired.", 3))) == 1


@given(st.text(max_size=200))
def test_any_text_can_be_measured(text: str) -> None:
    some = reply(text)
    for measure in (
        *(grounding.known_names, grounding.known_things, grounding.uses_names),
        *(grounding.answers, grounding.denied),
    ):
        count = measure(some)
        assert count is None or count.whole == 1 or 0 <= count.part <= count.whole
