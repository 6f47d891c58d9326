"""A document, the local engine to compare with, and what came of a request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from shoritui.engine import (
    Engine,
    EngineOptions,
    Event,
    Finished,
    RemoteEngine,
    Sampling,
    Segment,
)
from tests.engine.conftest import HEADER, SCENE

CONTEXT = 1024
GREEDY = Sampling(temperature=0)
DOCUMENT = [*SCENE, HEADER]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def here(model: Path) -> AsyncIterator[Engine]:
    engine = Engine()
    await engine.open(model, EngineOptions(n_ctx=CONTEXT, n_threads=1))
    yield engine
    await engine.close()


async def events(
    engine: Engine | RemoteEngine,
    document: list[Segment] = DOCUMENT,
    sampling: Sampling = GREEDY,
    max_tokens: int = 60,
) -> list[Event]:
    return [each async for each in engine.generate(document, sampling, max_tokens=max_tokens)]


def finished(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]
