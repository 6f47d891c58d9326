"""One round of each kind; `python -m tests.kill` plays as many as one wants."""

from __future__ import annotations

import random

import pytest

from tests.kill.rounds import ROUNDS, Home, Round, new_home

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return new_home(tmp_path_factory.mktemp("kill") / "home")


@pytest.mark.parametrize("play", dict.fromkeys(ROUNDS), ids=lambda play: play.__name__)
def test_nothing_is_lost_to_kill_9(home: Home, play: Round) -> None:
    play(home, random.Random(play.__name__))
