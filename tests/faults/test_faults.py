"""A few acts of the app under each evil; `python -m tests.faults` plays them all."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.evils import EVILS, Stage, small_disk
from tests.faults.keys import bytes_of
from tests.faults.play import Act, acts, new_home, play

pytestmark = pytest.mark.slow

SITTINGS = (
    ("full", "quota", "failing", "turned-read-only", "gone", "denied", "truncated", "replaced"),
    ("config-gone", "config-denied", "cache-gone", "cache-denied", "cache-full", "log", "clock"),
    ("worker", "model", "two-apps", "locked"),
    ("deleted",),
    ("read-only",),
    ("second",),
)
"""What befalls one app, one after another."""
MOST_ACTS = 2


def some(name: str) -> list[Act]:
    """A few acts for an evil, those first that meet it."""
    found = acts()
    random.Random(name).shuffle(found)
    found.sort(key=lambda act: act.name not in EVILS[name].shown_by)
    return found[:MOST_ACTS]


def test_each_evil_is_played() -> None:
    assert sorted(name for names in SITTINGS for name in names) == sorted(EVILS)


@pytest.mark.parametrize("names", SITTINGS, ids=" ".join)
def test_the_app_goes_on_and_keeps_what_is_typed(names: tuple[str, ...], tmp_path: Path) -> None:
    with small_disk() as folder:
        stage = Stage(new_home(folder / "home"), tmp_path)
        here = [name for name in names if not EVILS[name].needs(stage)]
        if not here:
            pytest.skip(EVILS[names[0]].needs(stage))
        chosen = {name: some(name) for name in here}
        outcome = play(stage, {name: EVILS[name] for name in here}, chosen)
    assert not outcome.faults
    assert outcome.acts == MOST_ACTS * len(here)


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("a", "a"),
        ("ctrl+q", "\x11"),
        ("alt+shift+l", "\x1b[108;4u"),
        ("alt+up", "\x1b[1;3A"),
        ("f12", "\x1b[24~"),
        ("shift+pageup", "\x1b[5;2~"),
    ],
)
def test_a_key_is_what_a_terminal_sends(key: str, wanted: str) -> None:
    assert bytes_of(key) == wanted
