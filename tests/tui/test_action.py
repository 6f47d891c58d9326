"""Keymaps: what is wrong with one is said, and says where."""

from __future__ import annotations

import pytest
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS

from shoritui.tui.action import AnyAction, keymap_problems, keys_of
from shoritui.tui.chat.actions import ACTIONS, BY_ID
from shoritui.tui.training.actions import ACTIONS as TRAINING


def test_a_good_keymap_has_no_problems() -> None:
    assert keymap_problems(ACTIONS, {}) == [] == keymap_problems(TRAINING, {})
    assert keymap_problems(ACTIONS, {"retry": "ctrl+g, f20", "sampler": "f21"}) == []
    assert keys_of(BY_ID["retry"], {"retry": "ctrl+g, f20"}) == ["ctrl+g", "f20"]


def test_an_unknown_action_is_said_with_the_nearest_one() -> None:
    [problem] = keymap_problems(ACTIONS, {"retyr": "f20"})
    assert problem == ("[keymap] in settings.toml: there is no action retyr. Did you mean retry?")
    [problem] = keymap_problems(ACTIONS, {"zzz": "f20"})
    assert problem.endswith("there is no action zzz. F1 shows every action.")
    assert keymap_problems(ACTIONS, {"worst": "x"}, {"worst"}) == []


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("not a key!", ""),
        ("CTRL+G", "ctrl+g"),
        ("ctrl+G", "ctrl+g"),
        ("shift+ctrl+up", "ctrl+shift+up"),
        ("alt+.", "alt+full_stop"),
        ("F20", "f20"),
        ("ctrl+", ""),
        ("\x1b[31m", ""),
    ],
)
def test_a_key_that_the_terminal_cannot_send_is_said(key: str, meant: str) -> None:
    [problem] = keymap_problems(ACTIONS, {"retry": f"f22, {key}"})
    assert "(for retry) is not the name of a key." in problem and "\x1b" not in problem
    assert problem.endswith(f". Did you mean {meant}?" if meant else "a key.")


def test_every_default_key_and_every_letter_has_a_known_name() -> None:
    for actions in (ACTIONS, TRAINING):
        keymap = {action.id: action.keys for action in actions if action.keys}
        assert keymap_problems(actions, keymap) == []
    for key in ("T", "?", "+", "alt+T", "question_mark", "f24", "shift+tab", "alt+ctrl+x"):
        assert keymap_problems(ACTIONS, {"retry": key}) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [("ctrl+i", "tab"), ("ctrl+m", "enter"), ("?", "question_mark"), ("ctrl+g", "CTRL+G")],
)
def test_two_names_of_one_key_clash(one: str, other: str) -> None:
    problems = keymap_problems(ACTIONS, {"copy": one, "edit": other})
    assert any(all(word in each for word in (" both ", "copy", "edit")) for each in problems)


def test_a_key_of_two_actions_in_one_place_is_said_with_both() -> None:
    [problem] = keymap_problems(ACTIONS, {"retry": "f2"})
    assert "f2 is the key of both retry (Message: Write it again) and scene" in problem
    assert keymap_problems(ACTIONS, {"retry": "f2", "scene": "ctrl+r"}) == []
    [problem] = keymap_problems(ACTIONS, {"copy": "e"})
    assert "edit" in problem and "copy" in problem
    assert keymap_problems(ACTIONS, {"newline": "j"}) == []  # read_down's, but while reading


def test_every_key_reaches_the_app_from_a_plain_terminal() -> None:
    """Terminals send Alt and a letter as Escape and the letter, which may be another key."""
    taken = {
        f"alt+{sent[1]}" for sent in ANSI_SEQUENCES_KEYS if len(sent) == 2 and sent[0] == "\x1b"
    }
    assert "alt+b" in taken, "it is Ctrl+Left"
    actions: tuple[AnyAction, ...] = (*ACTIONS, *TRAINING)
    for action in actions:
        assert not taken & set(keys_of(action, {})), action.id
