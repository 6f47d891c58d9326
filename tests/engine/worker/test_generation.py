"""What is told of a message beside its text: log-probabilities, and why it stopped."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from shoritui.engine import (
    Engine,
    EngineOptions,
    SampledToken,
    Sampling,
    Segment,
    Text,
    changed,
    presets,
)
from shoritui.errors import UserError
from tests.engine.conftest import HEADER, SCENE, opened, write

pytestmark = pytest.mark.asyncio(loop_scope="module")
DOCUMENT = [*SCENE, HEADER]


async def drawn(
    engine: Engine, sampling: Sampling, top_logprobs: int = 5
) -> tuple[list[SampledToken], str]:
    found: list[SampledToken] = []
    text = ""
    async for event in engine.generate(
        DOCUMENT, sampling, max_tokens=30, top_logprobs=top_logprobs
    ):
        if isinstance(event, Text):
            found += event.logprobs
            text += event.text
            assert len(event.logprobs) == (event.tokens if top_logprobs else 0)
    return found, text


async def test_each_token_is_told_with_the_likeliest(engine: Engine) -> None:
    hot = Sampling(seed=4, temperature=1.5, presence_penalty=1.0)
    tokens, text = await drawn(engine, hot)
    assert "".join(each.token.text for each in tokens) == text
    for each in tokens:
        logprobs = [other.logprob for other in each.top]
        assert len(logprobs) == 5
        assert logprobs == sorted(logprobs, reverse=True)
        assert 0 < sum(map(math.exp, logprobs)) <= 1.000001
        assert -math.inf < each.token.logprob <= logprobs[0]
        if each.token.logprob > logprobs[-1]:
            assert each.token in each.top


async def test_the_logprobs_are_the_models_own(engine: Engine) -> None:
    tokens, _ = await drawn(engine, presets(None)[0]["card-alternative-1"].sampling)
    (score,) = await engine.score(DOCUMENT, [tokens[0].token.text])
    assert math.isclose(tokens[0].token.logprob, score, abs_tol=1e-3)


async def test_greedy_draws_the_likeliest(engine: Engine) -> None:
    tokens, _ = await drawn(engine, Sampling(temperature=0))
    for each in tokens:
        best = next(other for other in each.top if other.text != "▀")
        assert each.token == best


async def test_what_is_taken_back_is_not_told(engine: Engine) -> None:
    greedy = Sampling(temperature=0)
    _, before = await drawn(engine, greedy)
    banned = [word.strip('",.!?') for word in before.split()[:4]]
    tokens, text = await drawn(engine, changed(greedy, {"banned": banned}))
    assert "".join(each.token.text for each in tokens) == text != before


async def test_no_logprobs_unless_asked_for(engine: Engine) -> None:
    assert (await drawn(engine, Sampling(seed=4), top_logprobs=0))[0] == []


async def test_a_full_context_is_told_from_a_token_limit(model: Path) -> None:
    async with opened(model, EngineOptions(n_ctx=256)) as engine:
        text = ""
        for _ in range(40):
            document = [*SCENE, Segment(HEADER.text + text)]
            sampling = Sampling(temperature=2.0, seed=5)
            outcome = await write(engine, document, sampling, max_tokens=300)
            text += outcome.text or " and"
            if outcome.stop == "context_full":
                assert outcome.prompt_tokens + outcome.generated_tokens == 257
                return
            assert outcome.stop == "block_end"
            limited = await write(engine, document, sampling, max_tokens=1)
            assert limited.stop in ("token_limit", "block_end")
        pytest.fail("the context never filled")


async def test_a_bias_on_no_token_is_one_sentence(engine: Engine) -> None:
    sampling = changed(Sampling(), {"logit_bias": {"the old ferrywoman": -1}})
    with pytest.raises(UserError, match="only a text of one token has a score to change"):
        await write(engine, DOCUMENT, sampling)
    assert (await write(engine, DOCUMENT)).generated_tokens > 0
