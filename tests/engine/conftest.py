"""Running engines with the model that ships."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from shoritui.demo import model_path
from shoritui.engine import Engine, EngineOptions, Finished, Outcome, Sampling, Segment

SCENE = [
    Segment("▀title\nThe last ferry▄\n"),
    Segment("▀description\n**Name:** Ada\nA patient ferrywoman with a tin whistle.▄\n"),
    Segment("▀description\n**Name:** Bram\nA baker who is late.▄\n"),
    Segment('▀message (length: short)\nAda: "We leave at noon," she said._Or not._▄\n'),
]
DEFAULTS = EngineOptions()
FIRST_SEED = Sampling(seed=1)
ENDLESS = Sampling(seed=1, temperature=15.0)
"""Words without sense, of which there is hardly an end."""
HEADER = Segment("▀message (length: short)\nBram:")


@pytest.fixture(scope="session")
def model() -> Path:
    return model_path()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine(model: Path) -> AsyncIterator[Engine]:
    """One for all tests of a module; its cache holds what they left."""
    async with opened(model) as engine:
        yield engine


@pytest_asyncio.fixture(loop_scope="module")
async def fresh(model: Path) -> AsyncIterator[Engine]:
    async with opened(model) as engine:
        yield engine


@asynccontextmanager
async def opened(model: Path, options: EngineOptions = DEFAULTS) -> AsyncIterator[Engine]:
    engine = Engine()
    try:
        await engine.open(model, options)
        yield engine
    finally:
        await engine.close()


async def kill_worker(engine: Engine) -> None:
    """Kill the model's process; at the end the engine has heard of it."""
    while (worker := engine._worker) is None:
        await asyncio.sleep(0.005)
    os.kill(worker.pid, signal.SIGKILL)
    while engine._worker is worker:
        await asyncio.sleep(0.005)


async def write(
    engine: Engine,
    document: list[Segment],
    sampling: Sampling = FIRST_SEED,
    max_tokens: int = 24,
) -> Outcome:
    async for event in engine.generate(document, sampling, max_tokens=max_tokens):
        if isinstance(event, Finished):
            return event.outcome
    raise AssertionError("a generation ends with Finished")
