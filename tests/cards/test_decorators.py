"""The decorators of V3 cards: which rule each one is, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.cards import Lore, decorated, unfollowed


def of(*lines: str, **rest: Any) -> tuple[Lore, tuple[str, ...]]:
    return decorated(Lore(name="wolves", text="\n".join(lines), keys=("wolf",), **rest))


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("@@depth 2", {"place": "depth", "depth": 2}),
        ("@@depth 0", {"place": "depth", "depth": 1}),
        ("@@position after_desc", {"place": "top"}),
        ("@@scan_depth 7", {"scan_depth": 7}),
        ("@@activate_only_after 4", {"delay": 3}),
        ("@@activate_only_every 3", {"every": 3}),
        ("@@keep_activate_after_match", {"sticky": 1_000_000}),
        ("@@dont_activate_after_match", {"cooldown": 1_000_000}),
        ("@@ignore_on_max_context", {"order": -1_000_000}),
        ("@@additional_keys fog, night", {"secondary_keys": ("fog", "night"), "logic": "any"}),
        ("@@exclude_keys dog", {"secondary_keys": ("dog",), "logic": "not any"}),
        ("@@activate", {"keys": ()}),
        ("@@dont_activate", {"enabled": False}),
        ("@@role system", {}),
        ("@@instruct_depth 9", {}),
    ],
)
def test_each_one_is_a_rule_of_lore(line: str, fields: dict[str, Any]) -> None:
    expected = {"name": "wolves", "text": "They howl.\n@@ here", "keys": ("wolf",), **fields}
    assert of(line, "", "They howl.", "@@ here") == (Lore(**expected), ())


def test_an_unknown_one_is_said_and_the_lines_below_stand_in_for_it() -> None:
    piece, said = of("@@mine 3", "@@@theirs", "@@@depth 5", "@@other", "Howl.")
    assert (piece.place, piece.depth, piece.text) == ("depth", 5, "Howl.")
    assert said == ("@@other is not known here",)
    assert "@@other" in unfollowed([Lore(name="w", text="@@other\nHowl.")])
    assert unfollowed([Lore(name="w", text="@@depth 5\nHowl.")]) == ""


def test_a_value_that_is_none_is_said() -> None:
    assert of("@@depth deep", "Howl.")[1] == ("@@depth has no number, but deep",)
    assert of("@@position hell", "Howl.")[0].place == "story"
    assert "other secondary keys" in of("@@additional_keys a", "@@exclude_keys b", "Howl.")[1][0]


def test_what_contradicts_itself_goes_by_the_specification() -> None:
    assert of("@@depth 2", "@@depth 5", "Howl.")[0].depth == 2
    assert of("@@depth 2", "@@position scenario", "Howl.")[0].place == "top"
    piece, _ = of("@@dont_activate", "@@activate", "Howl.")
    assert piece.enabled and not piece.keys
    assert not of("@@depth 2")[0].enabled


@given(st.lists(st.text("@dep 4\nx", max_size=12), max_size=6))
def test_no_line_of_them_is_left_at_the_beginning(lines: list[str]) -> None:
    text = "\n".join(lines)
    if text.startswith("@@"):
        assert not decorated(Lore(name="a", text=text))[0].text.startswith("@@")
