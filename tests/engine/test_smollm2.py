"""The engine on the storyteller's base, in whose vocabulary each mark of a block is two tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoritui.engine import Engine, Sampling, Segment
from tests import smollm2
from tests.engine.conftest import SCENE, write
from tests.engine.test_engine import (
    test_candidates_that_begin_alike_are_evaluated_further,
    test_scores_are_probabilities_of_what_tells_candidates_apart,
    test_the_next_turn_evaluates_only_what_is_new,
    test_tokens_are_those_of_the_whole_prompt,
    test_writing_again_evaluates_nothing_and_is_exact,
)
from tests.engine.test_plan import (
    test_alternatives_are_those_that_were_drawn_from,
    test_the_ids_are_those_that_the_cache_then_holds,
)

__all__ = [
    "test_alternatives_are_those_that_were_drawn_from",
    "test_candidates_that_begin_alike_are_evaluated_further",
    "test_scores_are_probabilities_of_what_tells_candidates_apart",
    "test_the_ids_are_those_that_the_cache_then_holds",
    "test_the_next_turn_evaluates_only_what_is_new",
    "test_tokens_are_those_of_the_whole_prompt",
    "test_writing_again_evaluates_nothing_and_is_exact",
]
pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="session")
def model() -> Path:
    return smollm2.installed()


async def test_a_mark_of_two_tokens_ends_a_message(engine: Engine) -> None:
    """The base repeats what it has read often enough, the end of the block with it."""
    document = [*SCENE, *[Segment("▀message (length: nano)\nBram: Yes.▄\n")] * 6]
    header = Segment("▀message (length: nano)\nBram:")
    outcome = await write(engine, [*document, header], Sampling(temperature=0), 40)
    assert outcome.stop == "block_end" and outcome.text == " Yes."


async def test_logprobs_of_a_document_are_those_that_scores_tell(engine: Engine) -> None:
    """Nearly: its matrices are in Q4_1, and ggml rounds steps of other sizes otherwise."""
    document = [*SCENE, Segment("▀message (length: short)\n"), Segment("Ada: Two boats.▄\n")]
    logprobs = await engine.logprobs(document)
    (first,) = await engine.score(document[:-1], ["Ada"])
    assert logprobs[-1][0] == pytest.approx(first, abs=0.2)
