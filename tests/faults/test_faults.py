"""A few acts of the app under each evil; `python -m tests.faults` plays them all."""

from __future__ import annotations

import pytest

from tests.faults.evils import EVILS, NEEDS_DISK, has_own_disk, small_disk
from tests.faults.keys import bytes_of
from tests.faults.play import acts, new_home, play

pytestmark = pytest.mark.slow

SOME = ("type", "edit", "delete", "title", "pin", "undo")


@pytest.mark.parametrize("name", EVILS)
def test_the_app_goes_on_and_keeps_what_is_typed(name: str) -> None:
    with small_disk() as folder:
        home = new_home(folder / "home")
        if name in NEEDS_DISK and not has_own_disk(home):
            pytest.skip("a disk of its own needs root")
        outcome = play(home, EVILS[name], [act for act in acts() if act.name in SOME])
    assert not outcome.faults
    assert outcome.acts == len(SOME)


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("a", "a"),
        ("ctrl+q", "\x11"),
        ("alt+shift+l", "\x1bL"),
        ("alt+up", "\x1b[1;3A"),
        ("f12", "\x1b[24~"),
        ("shift+pageup", "\x1b[5;2~"),
    ],
)
def test_a_key_is_what_a_terminal_sends(key: str, wanted: str) -> None:
    assert bytes_of(key) == wanted
