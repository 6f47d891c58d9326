"""What is told of a prompt before it is read is what is read: ids, counts, what is held."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoritui.engine import Engine, EngineOptions, Sampling, Segment
from shoritui.engine.llama import library
from shoritui.engine.llama.context import AbortFlag
from shoritui.engine.worker.runtime import Runtime
from shoritui.errors import UserError
from tests.engine.conftest import HEADER, SCENE, opened, write
from tests.engine.test_engine import long_document

pytestmark = pytest.mark.asyncio(loop_scope="module")

N_CTX = 512
WORDS = st.text(st.sampled_from("ab é霧🌫 \n.▀▄\"*'"), max_size=30)
BLOCKS = st.lists(WORDS.map(lambda text: Segment(f"▀message\nAda: {text}▄\n")), max_size=5)
DOCUMENTS = st.lists(BLOCKS, min_size=1, max_size=4)


@pytest.fixture(scope="module", params=["exact", "shift"])
def options(request: pytest.FixtureRequest) -> EngineOptions:
    return EngineOptions(n_ctx=N_CTX, n_threads=1, context_mode=request.param)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def planned(model: Path, options: EngineOptions) -> AsyncIterator[Engine]:
    async with opened(model, options) as engine:
        yield engine


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(documents=DOCUMENTS)
async def test_what_is_planned_is_what_is_evaluated(
    planned: Engine, documents: list[list[Segment]]
) -> None:
    for blocks in documents:
        document = [*SCENE, *blocks, HEADER]
        plan, before = await planned.plan(document), await planned.stats()
        evaluation, after = await planned.prefill(document), await planned.stats()
        assert plan.ids is not None and plan.reused == evaluation.reused
        assert plan.total - plan.reused == evaluation.evaluated == after.tokens - before.tokens
        assert [id_ for block in plan.ids for id_ in block] == await planned.tokens(document)
        assert plan.tokens == tuple(map(len, plan.ids)) and after.held[0] == plan.total


async def test_the_ids_are_those_that_the_cache_then_holds(model: Path, tmp_path: Path) -> None:
    library.start(lambda level, text: None)
    options = EngineOptions(n_ctx=N_CTX, n_threads=1, context_mode="exact", kv_store=tmp_path)
    for blocks in (4, 7):  # the second time it comes from the KV store, as far as it is there
        runtime = Runtime(model, options, AbortFlag(), lambda share: None)
        document = [*SCENE, *long_document(blocks)]
        plan, decodes = runtime.plan(document), runtime.stats.decodes
        assert runtime.stats.decodes == decodes and plan.ids is not None
        evaluation = runtime.prefill(document, lambda event: None)
        assert evaluation.reused == plan.reused
        assert runtime._cache.sequences[0].held.ids == [i for ids in plan.ids for i in ids]
        while runtime._cache.save_next():
            pass
        runtime._cache.save_prompt()


async def test_planning_what_does_not_fit_is_no_error(planned: Engine) -> None:
    plan = await planned.plan(long_document(200))
    assert plan.total > N_CTX


async def test_alternatives_are_those_that_were_drawn_from(engine: Engine) -> None:
    document = [*SCENE, HEADER]
    outcome = await write(engine, document, Sampling(temperature=0))
    held = (await engine.stats()).held
    tokens = await engine.alternatives(document, outcome.text, count=4)
    assert (await engine.stats()).held == held
    assert "".join(each.token.text for each in tokens) == outcome.text + "▄\n"
    drawn = tokens[: outcome.generated_tokens]
    assert [each.token.id for each in drawn] == [each.top[0].id for each in drawn]
    for each in tokens:
        assert len(each.top) == 4 and each.token.logprob <= each.top[0].logprob <= 0
    plan = await engine.plan([*SCENE, Segment(f"{HEADER.text}{outcome.text}▄\n")])
    assert plan.ids is not None
    assert list(plan.ids[-1][-len(tokens) :]) == [each.token.id for each in tokens]


async def test_alternatives_agree_with_scores_and_cost_only_their_text(engine: Engine) -> None:
    document = [*SCENE, HEADER]
    await engine.prefill(document)
    before = await engine.stats()
    first, *_ = tokens = await engine.alternatives(document, " She waited. é霧", count=3)
    after = await engine.stats()
    # Besides its own tokens, the one before them: its logits say how likely the first one is.
    assert after.tokens - before.tokens == len(tokens)
    [score] = await engine.score(document, [first.token.text])
    assert math.isclose(first.token.logprob, score, abs_tol=0.05)
    assert "".join(each.token.text for each in tokens) == " She waited. é霧▄\n"


async def test_alternatives_take_no_room_from_the_story(planned: Engine) -> None:
    document, text = long_document(11), " word" * 600
    await planned.prefill(document)
    total = (await planned.plan(document)).total
    if planned.info is not None and planned.info.context_mode == "shift":
        with pytest.raises(UserError, match="no room"):
            await planned.alternatives(document, text, count=2)
    else:
        assert len(await planned.alternatives(document, text, count=2)) > 600
    assert (await planned.stats()).held[0] == total == (await planned.plan(document)).reused
