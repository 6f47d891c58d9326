"""The engine through its door: reuse, seeds, ends, cancelling, scores."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path

import pytest

from shoritui.engine import (
    Engine,
    EngineOptions,
    EngineState,
    Evaluated,
    Finished,
    Sampling,
    Segment,
    Text,
    presets,
)
from shoritui.engine.llama.context import AbortFlag, Context
from shoritui.engine.llama.model import Model
from shoritui.errors import UserError
from tests.engine.conftest import FIRST_SEED, HEADER, SCENE, opened, write

pytestmark = pytest.mark.asyncio(loop_scope="module")


def long_document(blocks: int) -> list[Segment]:
    """Every block begins anew with another number, so that nothing of it is in the cache."""
    return [
        Segment(f"▀message (length: short)\nAda: {n} boats lay at the quay that night.▄\n")
        for n in range(blocks)
    ]


async def test_opening_tells_what_is_loaded(model: Path) -> None:
    states: list[EngineState] = []
    engine = Engine(states.append)
    info = await engine.open(model, EngineOptions(n_ctx=512))
    assert info.path == model
    assert (info.n_ctx, info.block_tokens) == (512, True)
    assert info.n_threads >= 1
    assert info.memory_bytes > info.size_bytes > 0
    assert [states[0].phase, states[-1].phase] == ["starting", "ready"]
    assert all(state.phase == "loading" for state in states[1:-1])
    shares = [state.progress for state in states[1:-1]]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    await engine.close()
    assert engine.state.phase == "closed"


async def test_the_next_turn_evaluates_only_what_is_new(engine: Engine) -> None:
    first = await write(engine, [*SCENE, HEADER])
    assert first.prompt_tokens == first.reused_tokens + first.evaluated_tokens
    written = Segment(f"{HEADER.text}{first.text}▄\n")
    said = Segment("▀message (length: short)\nAda: Good.▄\n")
    document = [*SCENE, written, said, HEADER]
    second = await write(engine, document)
    (closing,) = await engine.count(["▄\n"])
    new = sum(await engine.count([said.text, HEADER.text]))
    assert second.evaluated_tokens <= closing + new + 1
    assert second.reused_tokens >= first.prompt_tokens + first.generated_tokens - 1


async def test_what_is_written_is_what_a_whole_evaluation_finds(
    engine: Engine, model: Path
) -> None:
    """However the cache came to hold the prompt: every token is the likeliest from scratch."""
    greedy = Sampling(temperature=0)
    await write(engine, [*SCENE, HEADER])
    await engine.prefill(SCENE[:2])
    await engine.score([*SCENE, Segment("▀message (length:")], [" short", " shorter"])
    document = [*SCENE, HEADER]
    outcome = await write(engine, document, greedy, max_tokens=12)
    prompt = await engine.tokens(document)
    ids = await engine.tokens([*SCENE, Segment(HEADER.text + outcome.text)])
    assert ids[: len(prompt)] == prompt
    reference = Model(model)
    context = Context(reference, n_cells=1024, n_batch=512, n_threads=1, abort=AbortFlag())
    for index in range(len(prompt), len(ids)):
        context.remove(0)
        context.decode(ids[:index], seq=0, begin=0)
        logits = context.logits()
        logits[reference.open] = -1e9  # a message never opens a block
        assert logits[ids[index]] >= logits.max() - 0.1  # steps of other sizes round otherwise


async def test_writing_again_evaluates_nothing_and_is_exact(engine: Engine) -> None:
    first = await write(engine, [*SCENE, HEADER])
    again = await write(engine, [*SCENE, HEADER])
    assert again.evaluated_tokens == 0
    assert again.text == first.text


async def test_a_prefilled_document_costs_nothing(fresh: Engine) -> None:
    document = [*SCENE, HEADER]
    assert (await fresh.prefill(document)).evaluated > 20
    assert (await fresh.prefill(document)).evaluated == 0
    assert (await write(fresh, document)).evaluated_tokens == 0


async def test_a_cut_message_goes_on_without_evaluation(engine: Engine) -> None:
    cut = await write(engine, [*SCENE, HEADER], max_tokens=4)
    assert cut.stop == "token_limit"
    assert cut.generated_tokens == 4
    more = await write(engine, [*SCENE, Segment(HEADER.text + cut.text)], max_tokens=4)
    assert more.evaluated_tokens <= 1


@pytest.mark.parametrize("preset", ["neutral", "card-alternative-1", "card-alternative-2"])
async def test_the_same_seed_gives_the_same_text(fresh: Engine, model: Path, preset: str) -> None:
    one, two = (replace(presets(None)[0][preset].sampling, seed=seed) for seed in (11, 12))
    document = [*SCENE, HEADER]
    texts = [(await write(fresh, document, sampling)).text for sampling in (one, two, one)]
    assert texts[0] == texts[2] != texts[1]
    async with opened(model) as other:
        assert (await write(other, document, one)).text == texts[0]


@pytest.mark.parametrize("preset", ["card-main", "card-alternative-1", "card-alternative-2"])
async def test_events_add_up_to_the_outcome(engine: Engine, preset: str) -> None:
    sampling = presets(None)[0][preset].sampling
    document = [Segment(f"▀title\n{preset}▄\n"), *SCENE, HEADER]
    events = [
        event
        async for event in engine.generate(
            document, sampling, max_tokens=80, penalized=["We leave at noon."]
        )
    ]
    *others, last = events
    assert isinstance(last, Finished)
    texts = [event for event in others if isinstance(event, Text)]
    assert "".join(event.text for event in texts) == last.outcome.text
    assert sum(event.tokens for event in texts) <= last.outcome.generated_tokens
    assert not set("▀▄") & set(last.outcome.text)
    progress = [event for event in others if isinstance(event, Evaluated)]
    assert progress[-1].done == progress[-1].total == last.outcome.evaluated_tokens
    assert last.outcome.first_token_ms > 0


async def test_a_message_ends_with_its_block(engine: Engine) -> None:
    sampling = presets(None)[0]["card-main"].sampling
    outcomes = [await write(engine, [*SCENE, HEADER], sampling, 400) for _ in range(3)]
    assert "block_end" in {outcome.stop for outcome in outcomes}


async def test_a_cancelled_prompt_leaves_a_cache_that_serves(model: Path) -> None:
    document = [*long_document(60), HEADER]
    outcome = None
    in_small_steps = EngineOptions(n_batch=32)  # A fast machine is in the midst of them for longer.
    async with opened(model, in_small_steps) as engine:
        async for event in engine.generate(document, FIRST_SEED, max_tokens=9):
            if isinstance(event, Evaluated) and event.done < event.total:
                await engine.cancel()
            if isinstance(event, Finished):
                outcome = event.outcome
        assert outcome is not None
        assert (outcome.stop, outcome.text) == ("cancelled", "")
        assert 0 < outcome.evaluated_tokens < outcome.prompt_tokens
        finished = await write(engine, document)
        assert finished.reused_tokens >= outcome.evaluated_tokens
    async with opened(model, in_small_steps) as other:
        assert (await write(other, document)).text == finished.text


async def test_a_cancelled_message_keeps_what_was_written(engine: Engine) -> None:
    pieces: list[str] = []
    async for event in engine.generate([*SCENE, HEADER], Sampling(seed=5), max_tokens=400):
        if isinstance(event, Text):
            pieces.append(event.text)
            await engine.cancel()
        if isinstance(event, Finished):
            assert event.outcome.stop in ("cancelled", "block_end")
            assert event.outcome.text == "".join(pieces)
    more = await write(engine, [*SCENE, Segment(HEADER.text + "".join(pieces))])
    assert more.evaluated_tokens <= 1


async def test_leaving_a_generation_frees_the_engine(engine: Engine) -> None:
    generation = engine.generate(long_document(60), FIRST_SEED, max_tokens=1)
    await anext(generation)
    await generation.aclose()
    assert (await engine.count(["a"]))[0] >= 1
    assert engine.state.phase == "ready"


async def test_calls_wait_for_each_other(engine: Engine) -> None:
    one, other, counts = await asyncio.gather(
        write(engine, [*SCENE, HEADER]), write(engine, [*SCENE, HEADER]), engine.count(["a b"])
    )
    assert one.text == other.text
    assert len(counts) == 1


async def test_a_prompt_that_does_not_fit_is_refused(model: Path) -> None:
    async with opened(model, EngineOptions(n_ctx=256)) as engine:
        with pytest.raises(UserError, match=r"The prompt has [\d,]+ tokens, the context holds 256"):
            await write(engine, long_document(60))
        assert (await write(engine, [*SCENE[:1], HEADER])).generated_tokens > 0


async def test_a_full_context_ends_the_message(model: Path) -> None:
    async with opened(model, EngineOptions(n_ctx=256)) as engine:
        document = [*SCENE, HEADER]
        texts = ""
        for _ in range(20):
            document[-1] = Segment(HEADER.text + texts)
            if len(await engine.tokens(document)) >= 256:
                break
            outcome = await write(engine, document, Sampling(temperature=2, seed=3), max_tokens=300)
            texts += outcome.text or " and"
            assert outcome.prompt_tokens + outcome.generated_tokens <= 257
        else:
            pytest.fail("the context never filled")


async def test_scores_are_probabilities_of_what_tells_candidates_apart(engine: Engine) -> None:
    document = [*SCENE, Segment("▀message (length:")]
    hints = [" nano", " short", " medium", " massive"]
    scores = await engine.score(document, hints)
    assert all(score < 0 for score in scores)
    assert sum(map(math.exp, scores)) < 1
    assert (await engine.prefill(document)).evaluated == 0
    alone = [(await engine.score(document, [hint]))[0] for hint in hints]
    assert alone == pytest.approx(scores, abs=1e-6)


async def test_candidates_that_begin_alike_are_evaluated_further(engine: Engine) -> None:
    document = [*SCENE, Segment("▀message (length: short)\n")]
    names = ["Ada:", "Ada said", "Bram:", "Ada:"]
    scores = await engine.score(document, names)
    assert scores[0] == scores[3] != scores[1]
    (start,) = await engine.score(document, ["Ada"])
    assert math.exp(scores[0]) + math.exp(scores[1]) <= math.exp(start) * 1.01


async def test_logprobs_of_a_document_are_those_that_scores_tell(engine: Engine) -> None:
    document = [*SCENE, Segment("▀message (length: short)\n"), Segment("Ada: Two boats.▄\n")]
    logprobs = await engine.logprobs(document)
    ids = await engine.tokens(document)
    assert [len(each) for each in logprobs][1:] == await engine.count(
        [segment.text for segment in document[1:]]
    )
    assert sum(map(len, logprobs)) == len(ids)
    assert logprobs[0][0] == 0
    assert all(logprob < 0 for each in logprobs for logprob in each[1:])
    (first,) = await engine.score(document[:-1], ["Ada"])
    # Steps of other sizes round otherwise.
    assert logprobs[-1][0] == pytest.approx(first, abs=0.1)
    assert (await engine.logprobs(document))[-1] == pytest.approx(logprobs[-1], abs=0.1)


async def test_tokens_are_those_of_the_whole_prompt(engine: Engine) -> None:
    ids = await engine.tokens([*SCENE, HEADER])
    joined = "".join(segment.text for segment in [*SCENE, HEADER])
    assert await engine.tokens([Segment(joined)]) == ids


async def test_half_a_character_pair_is_no_crash(engine: Engine) -> None:
    assert await engine.count(["\ud83d"]) == await engine.count(["?"])


async def test_a_limit_below_one_is_refused(engine: Engine) -> None:
    with pytest.raises(UserError, match="The token limit is 0"):
        await write(engine, SCENE, max_tokens=0)


async def test_an_engine_without_a_model_says_so() -> None:
    with pytest.raises(UserError, match="No model is open"):
        await Engine().count(["a"])


async def test_after_a_model_that_is_not_there_every_call_says_so(tmp_path: Path) -> None:
    engine = Engine()
    with pytest.raises(UserError, match="no such model file"):
        await engine.open(tmp_path / "missing.gguf")
    with pytest.raises(UserError, match="no such model file"):
        await engine.count(["text"])
    await engine.close()
