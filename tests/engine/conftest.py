"""A running engine with the model that ships."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shoritui.demo import model_path
from shoritui.engine import Engine, Finished, Outcome, Sampling, Segment

SCENE = [
    Segment("▀title\nThe last ferry▄\n"),
    Segment("▀description\n**Name:** Ada\nA patient ferrywoman with a tin whistle.▄\n"),
    Segment("▀description\n**Name:** Bram\nA baker who is late.▄\n"),
    Segment('▀message (length: short)\nAda: "We leave at noon," she said._Or not._▄\n'),
]
HEADER = Segment("▀message (length: short)\nBram:")


@pytest.fixture(scope="session")
def model() -> Path:
    return model_path()


@pytest.fixture
async def engine(model: Path) -> AsyncIterator[Engine]:
    engine = Engine()
    await engine.open(model)
    yield engine
    await engine.close()


async def write(
    engine: Engine,
    document: list[Segment],
    sampling: Sampling = Sampling(seed=1),  # noqa: B008  frozen
    max_tokens: int = 24,
) -> Outcome:
    async for event in engine.generate(document, sampling, max_tokens=max_tokens):
        if isinstance(event, Finished):
            return event.outcome
    raise AssertionError("a generation ends with Finished")
