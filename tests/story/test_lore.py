"""Which lore fires where, and what is said about it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import Block
from shoritui.cards import Card, Lore, check_card, key_pattern
from shoritui.errors import UserError
from shoritui.story import Entry, Firing, Form, Kind, Verdict, fire, header_parts


def said(text: str, speaker: str = "Bo", kind: Kind = "message") -> Entry:
    return Entry(1, None, kind, speaker, None, text, "complete", 0.0, 5)


def lore(name: str = "a", *keys: str, **rest: object) -> Lore:
    return Lore(name=name, text=rest.pop("text", f"About {name}."), keys=keys, **rest)  # type: ignore[arg-type]


def placed(firing: Firing) -> list[str]:
    """The names of what stands around each message, `|` for the message itself."""
    return [
        "".join([*(each.name for each in before), "|", *(each.name for each in after)])
        for before, after in zip(firing.before, firing.after, strict=True)
    ]


def run(book: Sequence[Lore], *texts: str, **rest: object) -> list[str]:
    return placed(fire(book, list(map(said, texts)), **rest))  # type: ignore[arg-type]


def why(piece: Lore, *texts: str, passed: int = 0) -> Verdict:
    return fire((piece,), list(map(said, texts)), passed=passed).verdict(0)


def test_it_is_placed_once_where_its_key_comes_up_and_stays() -> None:
    assert run((lore("a", "bell"),), "Hm.", "The bell!", "The bell.") == ["|", "|a", "|"]


def test_lore_without_keys_is_in_the_header_and_lore_that_is_off_nowhere() -> None:
    assert run((lore("a"), lore("b", "bell", enabled=False)), "The bell!") == ["|"]
    assert why(lore("a")).state == "always"
    assert why(lore("b", "bell", enabled=False), "The bell!").state == "off"


def test_what_is_said_out_of_character_wakes_nothing() -> None:
    assert placed(fire((lore("a", "bell"),), [said("A bell?", kind="ooc")])) == ["|"]


@pytest.mark.parametrize(
    ("logic", "fires"),
    [
        ("any", [False, True, True]),
        ("all", [False, False, True]),
        ("not any", [True, False, False]),
        ("not all", [True, True, False]),
    ],
)
def test_secondary_keys(logic: str, fires: list[bool]) -> None:
    piece = lore("a", "bell", secondary_keys=("fog", "rope"), logic=logic)
    texts = ["The bell.", "The bell in the fog.", "The bell, its rope, the fog."]
    assert [run((piece,), text) == ["|a"] for text in texts] == fires


def test_keys_are_looked_for_together_in_the_last_messages() -> None:
    piece = lore("a", "bell", secondary_keys=("fog",))
    assert run((piece,), "The bell.", "The fog.") == ["|", "|a"]
    assert run((piece,), "The bell.", "Hm.", "The fog.") == ["|", "|", "|"]
    deep = lore("a", "bell", secondary_keys=("fog",), scan_depth=3)
    assert run((deep,), "The bell.", "Hm.", "The fog.") == ["|", "|", "|a"]
    assert "secondary" in why(piece, "The bell.").rule


def test_patterns_and_capitals() -> None:
    assert run((lore("a", "/sw[ao]rds?/i"),), "Swords out!") == ["|a"]
    assert run((lore("a", "/swords?/"),), "Swords out!") == ["|"]
    assert run((lore("a", "May", case=True),), "You may.", "In May.") == ["|", "|a"]
    assert run((lore("a", "wolf*"),), "Wolves!") == ["|a"]


@pytest.mark.parametrize("key", ["/(/", "/a/z", f"/{'a' * 400}/"])
def test_a_wrong_pattern_is_refused_where_it_is_written(key: str) -> None:
    with pytest.raises(UserError, match="keys"):
        check_card(Card(lore=(lore("a", key),)), cast=False)


def test_a_pattern_that_takes_too_long_is_given_up_and_reported() -> None:
    book = (lore("a", "/(a|aa)+$/"), lore("b", "bell"))
    key_pattern("/(a|aa)+$/")
    began = time.process_time()
    firing = fire(book, [said("a" * 40 + "! The bell."), said("a" * 41 + "!")])
    assert time.process_time() - began < 0.1
    assert placed(firing) == ["|b", "|"]
    assert "more than 20 ms" in firing.verdict(0).rule


def test_the_chance_is_drawn_once_for_each_message() -> None:
    piece = lore("a", "bell", probability=30)
    texts = [f"The bell rang {number} times." for number in range(300)]
    fired = [text for text in texts if run((piece,), text) == ["|a"]]
    assert 60 < len(fired) < 120
    assert fired == [text for text in texts if run((piece,), text) == ["|a"]]
    unlucky = next(text for text in texts if text not in fired)
    assert "30 %" in why(piece, unlucky).rule


def test_order_decides_what_comes_first_and_who_of_a_group() -> None:
    low, high = lore("low", "bell"), lore("high", "bell", order=200)
    assert run((low, high), "The bell!") == ["|highlow"]
    group = lore("low", "bell", group="g"), lore("high", "bell", order=200, group="g")
    firing = fire(group, [said("The bell!")])
    assert placed(firing) == ["|high"] and "high of its group" in firing.verdict(0).rule


def test_the_budget_goes_to_what_comes_first() -> None:
    book = lore("a", "bell"), lore("b", "bell", order=200)
    firing = fire(book, [said("The bell!")], budget=10, cost=lambda piece: 6)
    assert placed(firing) == ["|b"]
    assert firing.verdict(0).rule == "it takes 6 tokens, and 4 of the 10 for lore are left"


def test_lore_wakes_lore() -> None:
    glade = lore("a", "glade", text="The glade hides the shadowfang.")
    fang = lore("b", "shadowfang", text="It fears bells.")
    bell = lore("c", "bells")
    assert run((bell, fang, glade), "Into the glade.") == ["|abc"]
    firing = fire((glade, fang), [said("Into the glade.")])
    assert firing.verdict(1).woken_by == "a"
    deaf = lore("b", "shadowfang", woken=False)
    assert run((glade, deaf), "Into the glade.") == ["|a"]
    mute = lore("a", "glade", text="The glade hides the shadowfang.", wakes=False)
    assert run((mute, fang), "Into the glade.") == ["|a"]


def test_delay_and_cooldown() -> None:
    late = lore("a", "bell", delay=2)
    assert run((late,), "The bell.", "The bell.", "The bell.") == ["|", "|", "|a"]
    assert run((late,), "The bell.", passed=5) == ["|a"]
    assert "2 messages" in why(late, "The bell.").rule
    again = lore("a", "bell", cooldown=2, scan_depth=1)
    assert run((again,), *["The bell."] * 7) == ["|a", "|", "|", "|a", "|", "|", "|a"]


def test_only_the_messages_of_some_wake_it() -> None:
    piece = lore("a", "bell", characters=("Amélie",))
    told = [said("The bell.", "Bo"), said("The bell.", "Ame\u0301lie")]
    assert placed(fire((piece,), told)) == ["|", "|a"]
    assert "Amélie" in fire((piece,), told[:1]).verdict(0).rule


def test_at_the_top_and_at_a_depth_it_comes_and_goes() -> None:
    top = lore("a", "bell", place="top", scan_depth=1)
    assert run((top,), "Hm.", "The bell.") == ["a|", "|"]
    assert run((top,), "Hm.", "The bell.", "Hm.") == ["|", "|", "|"]
    sticky = lore("a", "bell", place="depth", depth=2, sticky=1, scan_depth=1)
    assert run((sticky,), "Hm.", "The bell.", "Hm.") == ["|", "a|", "|"]
    assert run((sticky,), "Hm.", "The bell.", "Hm.", "Hm.") == ["|"] * 4
    assert "in force" in why(sticky, "The bell.", "Hm.", "Hm.").rule


WORDS = st.lists(st.sampled_from(["bell", "fog", "rope", "hm"]), max_size=4).map(" ".join)
BOOK = (
    lore("a", "bell", text="fog"),
    lore("b", "fog", secondary_keys=("rope",), logic="not any", cooldown=2),
    lore("c", "rope", "/b.ll/", probability=50, group="g"),
    lore("d", "rope", group="g", delay=1),
)


@given(st.lists(WORDS, max_size=8), WORDS)
def test_what_was_placed_stays_when_the_story_goes_on(texts: list[str], more: str) -> None:
    assert run(BOOK, *texts, more)[: len(texts)] == run(BOOK, *texts)


def test_decorators_rule_where_lore_fires_and_are_not_read() -> None:
    deep = lore("a", "bell", text="@@depth 1\n@@strange\nIt rings.")
    firing = fire((deep,), list(map(said, ["The bell!", "Hm."])))
    assert placed(firing) == ["|", "a|"]
    assert firing.before[1][0].text == "It rings."
    assert firing.verdict(0).rule.endswith("; @@strange is not known here")
    third = lore("a", "bell", every=3)
    assert run((third,), "Bell.", "Bell.", "Bell.") == ["|", "|", "|a"]


def test_lore_that_is_always_active_stands_in_the_header_without_its_decorators() -> None:
    scene = Card(lore=(lore("a", "bell", text="@@activate\nIt rings."),))
    bodies = [part.body for _, part in header_parts(scene, "", Form()) if isinstance(part, Block)]
    assert bodies == ["It rings."]
