"""What is told of a message beside its text: probabilities, and why it stopped."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from shoritui.engine import Drawn, Engine, EngineOptions, Sampling, Segment, Text, changed, presets
from shoritui.errors import UserError
from tests.engine.conftest import HEADER, SCENE, opened, write

pytestmark = pytest.mark.asyncio(loop_scope="module")
DOCUMENT = [*SCENE, HEADER]


async def drawn(engine: Engine, sampling: Sampling, likeliest: int = 5) -> tuple[list[Drawn], str]:
    found: list[Drawn] = []
    text = ""
    async for event in engine.generate(DOCUMENT, sampling, max_tokens=30, likeliest=likeliest):
        if isinstance(event, Text):
            found += event.drawn
            text += event.text
            assert len(event.drawn) == (event.tokens if likeliest else 0)
    return found, text


async def test_each_token_is_told_with_the_likeliest(engine: Engine) -> None:
    hot = Sampling(seed=4, temperature=1.5, presence_penalty=1.0)
    tokens, text = await drawn(engine, hot)
    assert "".join(each.token.text for each in tokens) == text
    for each in tokens:
        chances = [chance.probability for chance in each.likeliest]
        assert len(chances) == 5
        assert chances == sorted(chances, reverse=True)
        assert 0 < sum(chances) <= 1.000001
        assert 0 < each.token.probability <= chances[0]
        if each.token.probability > chances[-1]:
            assert each.token in each.likeliest


async def test_the_probabilities_are_the_models_own(engine: Engine) -> None:
    tokens, _ = await drawn(engine, presets(None)[0]["card-alternative-1"].sampling)
    (score,) = await engine.score(DOCUMENT, [tokens[0].token.text])
    assert math.isclose(tokens[0].token.probability, math.exp(score), rel_tol=1e-3)


async def test_greedy_draws_the_likeliest(engine: Engine) -> None:
    tokens, _ = await drawn(engine, Sampling(temperature=0))
    for each in tokens:
        best = next(chance for chance in each.likeliest if chance.text != "▀")
        assert each.token == best


async def test_what_is_taken_back_is_not_told(engine: Engine) -> None:
    greedy = Sampling(temperature=0)
    _, before = await drawn(engine, greedy)
    banned = [word.strip('",.!?') for word in before.split()[:4]]
    tokens, text = await drawn(engine, changed(greedy, {"banned": banned}))
    assert "".join(each.token.text for each in tokens) == text != before


async def test_no_probabilities_unless_asked_for(engine: Engine) -> None:
    assert (await drawn(engine, Sampling(seed=4), likeliest=0))[0] == []


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
