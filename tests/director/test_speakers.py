"""Whose turn it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from shoritui.cards import Character
from shoritui.director.speakers import next_speaker, shares, trust_in, turn_order, weighed
from shoritui.names import addressed
from shoritui.settings import Strategy
from shoritui.story import Details, Entry
from tests.director.conftest import SCENE

CAST = SCENE.characters


def story(*messages: tuple[str, str]) -> tuple[Entry | None, dict[str, int]]:
    """The last message, and where each speaker's last one stands."""
    spoke_at = {speaker: at for at, (speaker, _) in enumerate(messages)}
    if not messages:
        return None, spoke_at
    speaker, text = messages[-1]
    return Entry(1, None, "message", speaker, None, text, "complete", 0.0, 1), spoke_at


def test_the_first_of_the_cast_begins() -> None:
    assert next_speaker(CAST, "Wren", *story()) == "Mara"


def test_the_character_named_last_answers() -> None:
    assert next_speaker(CAST, "Wren", *story(("Wren", "Mara saw Isolde."))) == "Isolde"


def test_a_direct_address_beats_a_mention() -> None:
    for said in ("Mara, ask Isolde.", "Where is Isolde, Mara?", '"Mara!" Isolde was gone.'):
        assert next_speaker(CAST, "Wren", *story(("Wren", said))) == "Mara"


def test_a_book_calls_whom_its_last_pages_call() -> None:
    pages = "The river rose and fell. " * 1_000
    assert next_speaker(CAST, "Wren", *story(("Wren", pages + "Where is Isolde?"))) == "Isolde"
    assert next_speaker(CAST, "Wren", *story(("Wren", "Where is Isolde?" + pages))) == "Mara"


def test_an_alias_counts_and_part_of_a_word_does_not() -> None:
    assert next_speaker(CAST, "Wren", *story(("Wren", "Aye, captain!"))) == "Mara"
    said = story(("Mara", "Hm."), ("Wren", "The Tobins of Marazion."))
    assert next_speaker(CAST, "Wren", *said) == "Tobin"


def test_nobody_answers_themselves_while_others_are_there() -> None:
    assert next_speaker(CAST, "Wren", *story(("Mara", "Mara yawned."))) == "Tobin"
    alone = (Character(name="Mara"), Character(name="Wren"))
    assert next_speaker(alone, "Wren", *story(("Mara", "Hm."))) == "Mara"


def test_else_the_longest_silent_speaks_and_never_the_user() -> None:
    said = story(("Mara", "a"), ("Tobin", "b"), ("Isolde", "c"), ("Wren", "d"))
    assert next_speaker(CAST, "Wren", *said) == "Mara"
    assert next_speaker((Character(name="Wren"),), "Wren", *story()) == ""


def test_a_name_at_the_start_asks_that_character() -> None:
    cast = ["Mara", "Mara Lind", "Tobiah"]
    assert addressed("@Tobiah well?", cast) == ("Tobiah", "well?")
    assert addressed("@mara lind", cast) == ("Mara Lind", "")
    assert addressed("@Maraschino", cast) == (None, "@Maraschino")
    assert addressed("mail@Mara", cast) == (None, "mail@Mara")


def played(strategy: Strategy, turns: int, *messages: tuple[str, str]) -> list[str]:
    """Who speaks if each one speaks whose turn it is."""
    told = list(messages)
    for _ in range(turns):
        last, spoke_at = story(*told)
        last = replace(last, id=len(told)) if last is not None else None
        order = turn_order(strategy, CAST, "Wren", last, spoke_at)
        assert sorted(order) == sorted(c.name for c in CAST)
        told.append((order[0], "Hm."))
    return [speaker for speaker, _ in told[len(messages) :]]


def test_in_turn_everybody_speaks_in_the_casts_order_the_user_too() -> None:
    assert played("in-turn", 5) == ["Mara", "Tobin", "Isolde", "Wren", "Mara"]
    assert played("in-turn", 2, ("Isolde", "Mara?")) == ["Wren", "Mara"]
    order = turn_order("in-turn", CAST[:2], "Nobody's", *story(("Tobin", "Hm.")))
    assert order == ["Nobody's", "Mara", "Tobin"]


def test_pooled_everybody_speaks_once_then_it_is_the_users_turn() -> None:
    said = (("Mara", "a"), ("Wren", "b"))
    first = played("pooled", 4, *said)
    assert sorted(first[:3]) == ["Isolde", "Mara", "Tobin"] and first[3] == "Wren"
    assert first == played("pooled", 4, *said), "the same story gives the same turns"
    assert played("pooled", 1, ("Wren", "Isolde?")) == ["Isolde"]


def test_natural_gives_the_user_a_turn_only_where_addressed_or_nobody_else_is_there() -> None:
    assert "Wren" not in played("natural", 12)
    assert played("natural", 1, ("Mara", '"Wren, hold this."')) == ["Wren"]
    assert turn_order("natural", CAST[:1], "Wren", *story(("Mara", "a"))) == ["Wren", "Mara"]


def test_who_talks_more_speaks_more_and_the_silent_wait_to_be_addressed() -> None:
    cast = tuple(
        replace(each, talkativeness=share)
        for each, share in zip(CAST, (1, 0.5, 0, 0.5), strict=True)
    )
    told: list[tuple[str, str]] = []
    for _ in range(60):
        told.append((next_speaker(cast, "Wren", *story(*told)), "Hm."))
    counts = Counter(speaker for speaker, _ in told)
    assert counts["Isolde"] == 0 and counts["Mara"] + counts["Tobin"] == 60
    assert next_speaker(cast, "Wren", *story(("Mara", "Isolde?"))) == "Isolde"
    three = (replace(CAST[0], talkativeness=1), *CAST[1:])
    told = []
    for _ in range(60):
        told.append((next_speaker(three, "Wren", *story(*told)), "Hm."))
    counts = Counter(speaker for speaker, _ in told)
    assert counts["Mara"] > 1.3 * counts["Tobin"] > 0 < counts["Isolde"]


def test_the_model_decides_but_nobody_follows_themselves() -> None:
    odds = shares({"Mara": -1.0, "Tobin": -2.0, "Isolde": -3.0, "Wren": -1.5})
    assert sum(odds.values()) == pytest.approx(1)
    order = turn_order("model", CAST, "Wren", *story(("Mara", "Isolde?")), odds)
    assert order == ["Wren", "Tobin", "Isolde", "Mara"]
    unknown = turn_order("model", CAST, "Wren", *story(("Mara", "Isolde?")))
    assert unknown == turn_order("natural", CAST, "Wren", *story(("Mara", "Isolde?")))


def test_nobody_has_a_turn_where_the_user_chooses() -> None:
    assert turn_order("choose", CAST, "Wren", *story(("Mara", "Isolde?"))) == []


def test_the_models_word_is_weighed_with_what_the_story_shows() -> None:
    names = ("Mara", "Tobin", "Isolde", "Wren")
    even = dict.fromkeys(names, -2.0)
    told = (("Isolde", "Hm."), ("Tobin", "Hm."), ("Wren", "Hm."), ("Mara", "Well?"))
    odds = weighed(even, 1, CAST, "Wren", *story(*told))
    assert sum(odds.values()) == pytest.approx(1)
    assert sorted(names, key=lambda name: -odds[name]) == ["Isolde", "Tobin", "Wren", "Mara"]
    called = weighed(even, 1, CAST, "Wren", *story(*told[:-1], ("Mara", '"Well, Wren?"')))
    assert max(called, key=lambda name: called[name]) == "Wren"
    sure = even | {"Wren": -0.1}
    strong = weighed(sure, 1, CAST, "Wren", *story(*told))
    assert max(strong, key=lambda name: strong[name]) == "Wren"
    # A small model is surer than it is right.
    weak = weighed(sure, trust_in(135_000_000), CAST, "Wren", *story(*told))
    assert max(weak, key=lambda name: weak[name]) == "Isolde"
    assert weighed(even, 1, CAST, "Wren", None, {})["Mara"] == pytest.approx(0.25)


def test_who_is_absent_or_muted_has_no_turn_whatever_the_strategy() -> None:
    cast = (CAST[0], replace(CAST[1], speaks="never"), *CAST[2:])
    strategies: tuple[Strategy, ...] = ("in-turn", "natural", "pooled", "model")
    for strategy in strategies:
        for spoken in (("Mara", "Tobin! Isolde!"), ("Isolde", "Hm."), ("Tobin", "Mara?")):
            last, spoke_at = story(spoken)
            odds = dict.fromkeys(["Tobin", "Isolde", "Mara", "Wren"], 0.25)
            order = turn_order(strategy, cast, "Wren", last, spoke_at, odds, {"Isolde"})
            assert sorted(order) == ["Mara", "Wren"]
            order = turn_order(strategy, cast, "Wren", last, spoke_at, odds, {"Isolde", "Wren"})
            assert order == ["Mara"]
    assert turn_order("in-turn", cast, "Wren", *story(("Tobin", "Hm.")))[0] == "Isolde"


def test_who_speaks_only_when_named_waits_for_the_name() -> None:
    cast = (CAST[0], replace(CAST[1], speaks="when named"), *CAST[2:])
    strategies: tuple[Strategy, ...] = ("in-turn", "natural", "pooled")
    for strategy in strategies:
        order = turn_order(strategy, cast, "Wren", *story(("Mara", "Hm.")))
        assert "Tobin" not in order
        order = turn_order(strategy, cast, "Wren", *story(("Mara", "Where is Tobin?")))
        assert order[0] == "Tobin"


def test_a_whisper_calls_only_those_who_heard_it() -> None:
    last, spoke_at = story(("Wren", "Isolde must not know."))
    assert last is not None
    whisper = replace(last, details=Details(heard=("Tobin",)))
    strategies: tuple[Strategy, ...] = ("natural", "pooled", "model")
    for strategy in strategies:
        odds = {"Isolde": 0.9, "Mara": 0.1}
        assert turn_order(strategy, CAST, "Wren", whisper, spoke_at, odds)[0] == "Tobin"
    cast = (CAST[0], replace(CAST[1], speaks="when named"), *CAST[2:])
    assert turn_order("natural", cast, "Wren", whisper, spoke_at)[0] == "Tobin"
