"""The table of actions: complete, without clashes, and the source of what is written of it."""

from __future__ import annotations

from collections import Counter

import pytest

from shoritui.tui.action import AnyAction, key_name, keys_of
from shoritui.tui.chat.actions import ACTIONS, BY_ID, BY_SLASH
from shoritui.tui.chat.verbs.panels import number
from shoritui.tui.widgets.completions import Completion, ranked
from tests.guide.tables import keys_table


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
def test_every_action_can_be_asked_for_and_is_explained(action: AnyAction) -> None:
    assert action.keys
    group, _, name = action.title.partition(": ")
    assert group and name and name[0].isupper()
    assert action.help.endswith(".")
    assert f"| {action.help} | `{action.id}` |" in keys_table()
    assert not action.slash or f"`/{action.slash}" in keys_table()


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
    owned = {f"ctrl+{letter}" for letter in "aedkuwxvyz"}
    for action in ACTIONS:
        if action.where != "transcript":
            assert not owned & set(keys_of(action, {})), action.id


def test_no_key_is_named_as_no_terminal_sends_it() -> None:
    # A capital with Alt comes as alt+shift+w; a binding of alt+W would never be heard.
    for action in ACTIONS:
        wrong = [key for key in keys_of(action, {}) if "+" in key and key != key.lower()]
        assert not wrong, action.id


def test_keys_are_shown_as_people_write_them() -> None:
    assert [key_name(key) for key in ("ctrl+r", "f2", "escape", "alt+up", "enter")] == [
        "^r",
        "F2",
        "esc",
        "alt+↑",
        "⏎",
    ]
    assert keys_of(BY_ID["retry"], {"retry": "ctrl+g, f9"}) == ["ctrl+g", "f9"]


def test_completions_are_ranked_by_how_well_they_fit() -> None:
    words = ["open", "preset", "sampler", "stop", "ooc"]
    found = ranked("op", [(word, Completion(word, word)) for word in words])
    assert [each.text for each in found] == ["open", "stop"]
    words = ["export-lore", "retry", "redo", "export-card", "export"]
    for query, first in (("exp", "export"), ("re", "retry"), ("", "export-lore")):
        assert ranked(query, [(word, Completion(word, word)) for word in words])[0].text == first


def test_sampler_values_are_read_as_numbers() -> None:
    assert (number("1"), number("-2"), number("0.5"), number("any")) == (1, -2, 0.5, None)
    with pytest.raises(ValueError, match="hot"):
        number("hot")


def test_every_command_has_other_words_and_what_its_argument_may_be() -> None:
    for action in ACTIONS:
        if action.where == "anywhere" and action.slash not in ("", "up", "down"):
            assert action.synonyms, action.id
        if "|" in action.argument:
            assert action.choices is not None, action.id
    words = {word for action in ACTIONS for word in f"{action.synonyms} {action.slash}".split()}
    assert {"undo", "delete", "regenerate", "search", "persona", "export"} <= words
