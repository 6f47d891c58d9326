"""The inspector where each mark of a block is two tokens: on the storyteller's base."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import smollm2
from tests.director.test_inspection import (
    engine,
    test_another_token_makes_a_version_that_keeps_what_is_before_it,
    test_each_turn_evaluates_what_was_told,
)

__all__ = [
    "engine",
    "test_another_token_makes_a_version_that_keeps_what_is_before_it",
    "test_each_turn_evaluates_what_was_told",
]
pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def model() -> Path:
    return smollm2.installed()
