"""The table of actions: complete, without clashes, and the source of what is written of it."""

from __future__ import annotations

from collections import Counter

import pytest

from shoritui.tui import reference
from shoritui.tui.actions import ACTIONS, BY_ID, BY_SLASH, Action, key_name, keys_of
from shoritui.tui.completions import Completion, ranked
from shoritui.tui.verbs.panels import number
from shoritui.tui.verbs.story import addressed


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
def test_every_action_can_be_asked_for_and_is_explained(action: Action) -> None:
    assert action.keys
    group, _, name = action.title.partition(": ")
    assert group and name and name[0].isupper()
    assert action.help.endswith(".")
    assert action.title in reference()
    assert not action.slash or f"`/{action.slash}" in reference()


def test_ids_and_commands_are_unique_and_no_key_means_two_things_in_one_place() -> None:
    assert len(BY_ID) == len(ACTIONS)
    assert len(BY_SLASH) == sum(bool(action.slash) for action in ACTIONS)
    for where in ("composer", "transcript"):
        keys = Counter(
            key
            for action in ACTIONS
            if action.where in (where, "anywhere")
            for key in keys_of(action, {})
        )
        assert [key for key, count in keys.items() if count > 1] == []


def test_the_composers_own_editing_keys_are_left_alone() -> None:
    owned = {f"ctrl+{letter}" for letter in "aedkuwxvyz"} | {"f6", "f7"}
    for action in ACTIONS:
        if action.where != "transcript":
            assert not owned & set(keys_of(action, {})), action.id


def test_keys_are_shown_as_people_write_them() -> None:
    assert [key_name(key) for key in ("ctrl+r", "f2", "escape", "alt+up", "enter")] == [
        "^r",
        "F2",
        "esc",
        "alt+↑",
        "⏎",
    ]
    assert keys_of(BY_ID["retry"], {"retry": "ctrl+g, f9"}) == ["ctrl+g", "f9"]


def test_a_name_at_the_start_asks_that_character() -> None:
    cast = ["Mara", "Mara Lind", "Tobiah"]
    assert addressed("@Tobiah well?", cast) == ("Tobiah", "well?")
    assert addressed("@mara lind", cast) == ("Mara Lind", "")
    assert addressed("@Maraschino", cast) == (None, "@Maraschino")
    assert addressed("mail@Mara", cast) == (None, "mail@Mara")


def test_completions_are_ranked_by_how_well_they_fit() -> None:
    words = ["open", "preset", "sampler", "stop", "ooc"]
    found = ranked("op", [(word, Completion(word, word)) for word in words])
    assert [each.text for each in found] == ["open", "stop"]


def test_sampler_values_are_read_as_numbers() -> None:
    assert (number("1"), number("-2"), number("0.5"), number("any")) == (1, -2, 0.5, None)
    with pytest.raises(ValueError, match="hot"):
        number("hot")
