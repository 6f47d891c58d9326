"""Twenty rounds; `python -m tests.kill` plays as many as one wants."""

from __future__ import annotations

import random

import pytest

from tests.kill.plan import ROUNDS, Round
from tests.kill.rounds import Home, new_home

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return new_home(tmp_path_factory.mktemp("kill") / "home")


@pytest.mark.parametrize(
    ("number", "play"), enumerate(ROUNDS), ids=lambda value: getattr(value, "__name__", None)
)
def test_nothing_is_lost_to_kill_9(home: Home, number: int, play: Round) -> None:
    play(home, random.Random(number))
