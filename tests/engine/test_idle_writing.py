"""Writing in idle time: it gives way, stands beside what is read, and leaves no trace there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from shoritui.engine import (
    Engine,
    EngineOptions,
    EngineState,
    Event,
    Finished,
    Outcome,
    Sampling,
    Segment,
    Text,
)
from shoritui.errors import UserError
from tests.engine.conftest import ENDLESS, HEADER, SCENE, opened, write

pytestmark = pytest.mark.asyncio(loop_scope="module")
DOCUMENT = [*SCENE, HEADER]
HOT = Sampling(temperature=1.5)


async def write_idle(
    engine: Engine, document: Sequence[Segment] = DOCUMENT, max_tokens: int = 8
) -> Outcome:
    events = [
        event async for event in engine.generate(document, HOT, max_tokens=max_tokens, idle=True)
    ]
    assert isinstance(events[-1], Finished)
    return events[-1].outcome


def after(outcome: Outcome) -> list[Segment]:
    """The document of the next turn."""
    return [*SCENE, Segment(f"{HEADER.text}{outcome.text}▄\n"), HEADER]


@pytest.mark.parametrize("length", [4, 60])
async def test_what_is_read_and_what_was_written_beside_it_cost_nothing(
    model: Path, length: int
) -> None:
    async with opened(model, EngineOptions(n_ctx=1024)) as engine:
        reply = await write(engine, DOCUMENT, HOT, max_tokens=length)
        [end] = await engine.count(["▄\n" + HEADER.text])
        await engine.prefill(after(reply), idle=True)
        for _ in range(5):
            one, other = [await write_idle(engine, max_tokens=length) for _ in range(2)]
            assert one.evaluated_tokens == other.evaluated_tokens == 0
            assert (await engine.prefill(after(reply))).evaluated == 0
        for taken in (one, other):
            assert (await engine.prefill(after(taken))).evaluated <= end + 2


async def test_it_gives_way_to_whatever_is_asked(engine: Engine) -> None:
    reply = await write(engine, DOCUMENT, HOT)
    await engine.prefill(after(reply))
    stream = engine.generate(DOCUMENT, ENDLESS, max_tokens=900, idle=True)
    while not isinstance(await anext(stream), Text):
        pass
    rest = asyncio.create_task(_rest(stream))
    await engine.count(["anything else"])
    outcome = await rest
    assert (outcome.stop, outcome.generated_tokens < 900) == ("cancelled", True)
    assert (await engine.prefill(after(reply))).evaluated == 0


async def test_it_is_cancelled_by_leaving_it(engine: Engine) -> None:
    reply = await write(engine, DOCUMENT, HOT)
    await engine.prefill(after(reply))
    stream = engine.generate(DOCUMENT, ENDLESS, max_tokens=900, idle=True)
    async for event in stream:
        if isinstance(event, Text):
            break
    await stream.aclose()
    assert (await engine.prefill(after(reply))).evaluated <= 1


async def test_the_state_does_not_tell_of_it(model: Path) -> None:
    states: list[EngineState] = []
    engine = Engine(states.append)
    await engine.open(model, EngineOptions(n_ctx=512))
    states.clear()
    assert (await write_idle(engine)).generated_tokens
    assert states == []
    await engine.close()


async def test_where_there_is_no_line_beside_nothing_is_written(model: Path) -> None:
    async with opened(model, EngineOptions(n_ctx=512, context_mode="shift")) as engine:
        with pytest.raises(UserError, match="no room to write anything beside"):
            await write_idle(engine)
        assert (await write(engine, DOCUMENT)).generated_tokens


async def _rest(stream: AsyncGenerator[Event, None]) -> Outcome:
    async for event in stream:
        if isinstance(event, Finished):
            return event.outcome
    raise AssertionError("a generation ends with Finished")
