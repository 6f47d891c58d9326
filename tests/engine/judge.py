"""What the engine wrote, held against the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoritui.engine import Engine, Event, Outcome, Sampling, Segment, Text
from tests.engine.reference import Reference, log_softmax


@dataclass(frozen=True, slots=True)
class Draw:
    """How a reply is drawn: greedily at temperature 0."""

    temperature: float = 0.0
    seed: int | None = 0

    @property
    def sampling(self) -> Sampling:
        return Sampling(temperature=self.temperature, seed=self.seed)


async def judge(
    engine: Engine,
    reference: Reference,
    document: Sequence[str],
    outcome: Outcome,
    draw: Draw,
    events: Sequence[Event] = (),
) -> list[int]:
    """Assert that this is what the model writes after the document; returns all its ids."""
    prompt = reference.ids(document)
    assert outcome.prompt_tokens == len(prompt)
    opened = document[-1] + outcome.text
    ids = await engine.tokens(segments([*document[:-1], opened]))
    assert ids[: len(prompt)] == prompt
    written = ids[len(prompt) :]
    assert reference.text(written) == outcome.text
    assert len(written) <= outcome.generated_tokens
    whole = len(written) == outcome.generated_tokens  # else it ends within a character
    if outcome.text:
        reference.keep(opened, ids[len(reference.ids(document[:-1])) :])
    ended = whole and outcome.stop == "block_end"
    rows = reference.rows(ids, len(written) + 1)
    reference.check_written(
        rows, written, ended=ended, temperature=draw.temperature, seed=draw.seed
    )
    _check_logprobs(reference, rows, written, events)
    return ids


async def adopt(engine: Engine, reference: Reference, document: Sequence[str]) -> None:
    """Take over how the engine spells the last block, of which nobody knows how it came about."""
    before = len(reference.ids(document[:-1]))
    ids = (await engine.tokens(segments(document)))[before:]
    assert reference.text(ids) == document[-1]
    reference.keep(document[-1], ids)


def _check_logprobs(
    reference: Reference, rows: NDArray[np.float32], written: list[int], events: Sequence[Event]
) -> None:
    """The log-probabilities that came with the text."""
    drawn = [one for event in events if isinstance(event, Text) for one in event.logprobs]
    if not drawn:
        return
    told, found = [], []
    for one, token, row in zip(drawn, written, log_softmax(rows), strict=False):
        told += [one.token.logprob, *(each.logprob for each in one.top)]
        found += [row[token], *np.sort(row)[::-1][: len(one.top)]]
    reference.check_probabilities(told, found)


def segments(document: Sequence[str]) -> list[Segment]:
    """The document as the engine takes it."""
    return [Segment(text, f"block {index}") for index, text in enumerate(document)]
