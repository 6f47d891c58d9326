"""What leads a message's end, and that nothing else is changed by it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.engine import Engine, LengthGuide, SampledToken, Sampling, Text
from shoritui.engine.cache.token_cache import TokenCache, TokenStore
from shoritui.engine.llama.model import Model
from shoritui.engine.sampling.sampler import ChainRequest, Sampler
from tests import smollm2
from tests.engine.conftest import HEADER, SCENE

GREEDY = Sampling(temperature=0)
DOCUMENT = [*SCENE, HEADER]
POINTS = st.lists(
    st.tuples(st.integers(0, 1000), st.floats(-20, 20)),
    min_size=2,
    max_size=5,
    unique_by=lambda point: point[0],
).map(lambda points: tuple(sorted(points)))


@given(POINTS, st.integers(0, 400), st.integers(0, 400))
def test_the_bias_goes_through_its_points(
    points: tuple[tuple[int, float], ...], begun: int, more: int
) -> None:
    guide = LengthGuide(points)
    assert all(guide.bias(at) == pytest.approx(bias, abs=1e-9) for at, bias in points)
    assert guide.bias(0) == points[0][1] or points[0][0] == 0
    assert LengthGuide(points, begun).bias(more) == guide.bias(begun + more)
    for (left, low), (right, high) in pairwise(points):
        middle = guide.bias((left + right) // 2)
        assert min(low, high) - 1e-9 <= middle <= max(low, high) + 1e-9
    (left, low), (right, high) = points[-2:]
    after = guide.bias(right + (right - left))
    assert after == pytest.approx(2 * high - low, abs=1e-6)


@pytest.mark.parametrize("name", ["one token", pytest.param("two", marks=pytest.mark.slow)])
def test_only_the_end_changes_and_not_within_it(model: Path, name: str) -> None:
    """Of an end of two tokens the first is led, and what then completes it is left alone."""
    vocabulary = Model(model if name == "one token" else smollm2.installed(), vocab_only=True)
    sampler = Sampler(vocabulary, TokenCache(vocabulary, TokenStore(None, b"")))
    end = vocabulary.end
    assert end is not None
    word, *_ = vocabulary.tokenize(" bread")
    logits = np.full(vocabulary.n_vocab, -50.0, np.float32)
    logits[word], logits[end] = 0.0, -3.0
    guide = LengthGuide(((2, -5.0), (4, 5.0)))
    with sampler.begin(ChainRequest(GREEDY, ["▀message\nAda:"], guide=guide)) as chain:
        drawn = [chain.token(logits) for _ in range(5)]
        assert drawn == [word, word, word, word, end]
        if vocabulary.close is None:
            *_, second = vocabulary.tokenize("▄")
            logits[second] = 1.0
            assert chain.token(logits) == second
            chain.back([word] * 4)
            assert chain.token(logits) == end
        chain.back([word] * 2)
        logits[:] = -50.0
        logits[word], logits[end] = 0.0, -3.0
        assert chain.token(logits) == word


async def told(engine: Engine, guide: LengthGuide | None) -> tuple[list[SampledToken], int]:
    tokens: list[SampledToken] = []
    events = engine.generate(DOCUMENT, GREEDY, max_tokens=90, top_logprobs=1, guide=guide)
    async for event in events:
        if isinstance(event, Text):
            tokens += event.logprobs
    return tokens, len(tokens)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_guide_leads_and_logprobs_stay_the_models_own(engine: Engine) -> None:
    assert engine.info is not None and engine.info.leads_end and engine.info.key
    free, length = await told(engine, None)
    assert length > 3
    held, longer = await told(engine, LengthGuide(((0, -100.0), (1000, -100.0))))
    led, shorter = await told(engine, LengthGuide(((0, 30.0), (1000, 30.0)), begun=5))
    assert longer == 90 and shorter < length
    same = min(length, longer)
    assert [t.token.text for t in held[:same]] == [t.token.text for t in free[:same]]
    for one, other in zip(held, free, strict=False):
        assert one.token.logprob == pytest.approx(other.token.logprob, abs=1e-3)
    assert [t.token.text for t in led] == [t.token.text for t in free[:shorter]]
