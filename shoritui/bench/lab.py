"""What a measurement works with: the model, how much time it may take, engines, progress."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final, TypeVar

from shoritui.engine import (
    Engine,
    EngineOptions,
    Finished,
    Outcome,
    RemoteEngine,
    Sampling,
    Segment,
    Text,
)

E = TypeVar("E", bound=Engine)

SAMPLING: Final = Sampling(presence_penalty=0.4, penalty_window=1024, min_p=0.05, seed=1)
"""The chain of every measurement: penalties, min-p, and a draw."""
SMALL: Final = 100_000_000
"""Up to so many parameters a model counts as small: a token costs no more than its bookkeeping."""


@dataclass(frozen=True, slots=True)
class Lab:
    """The subject of all rows, and how thoroughly it is measured."""

    model: Path
    options: EngineOptions
    """With the context size that full contexts have; KV store and context mode are the rows'."""
    gpu: bool
    """Whether any of it runs on a GPU."""
    full: bool
    """Whether it may take its time."""
    report: Callable[[str], None]
    """Hears how far the row at hand is."""

    @property
    def n_ctx(self) -> int:
        """The size of a full context, in tokens."""
        return self.options.n_ctx

    def engine(self, **changes: Any) -> AbstractAsyncContextManager[Engine]:
        """Open an engine of its own for one measurement, with these options changed."""
        return self.opened(Engine(), **changes)

    @asynccontextmanager
    async def opened(self, engine: E, **changes: Any) -> AsyncGenerator[E, None]:
        """This engine, the model open in it, with these options changed."""
        try:
            await engine.open(self.model, replace(self.options, **changes))
            yield engine
        finally:
            await engine.close()

    def rounds(self, most: int, seconds: float, *, least: int = 1) -> Iterator[int]:
        """Yield numbers of rounds: at least `least`, then more while time is left.

        The full set has three times the rounds and ten times the time.
        """
        most, seconds = (3 * most, 10 * seconds) if self.full else (most, seconds)
        end = perf_counter() + seconds
        for number in range(most):
            if number >= least and perf_counter() > end:
                return
            self.report(f"round {number + 1} of {most}")
            yield number


@dataclass(frozen=True, slots=True)
class Streamed:
    """A reply as whoever reads the stream saw it; times in seconds."""

    first: float
    """From the call to its first text."""
    rate: float
    """Tokens a second from the first text to the last event; 0 if there was only one."""
    outcome: Outcome


async def streamed(
    engine: Engine | RemoteEngine,
    document: Sequence[Segment],
    max_tokens: int,
    sampling: Sampling = SAMPLING,
) -> Streamed:
    """Let the engine write a reply and watch."""
    began = perf_counter()
    first, tokens = 0.0, 0
    async for event in engine.generate(document, sampling, max_tokens=max_tokens):
        now = perf_counter() - began
        if isinstance(event, Text) and not first:
            first, tokens = now, event.tokens
        elif isinstance(event, Finished):
            more = event.outcome.generated_tokens - tokens
            rate = more / (now - first) if first and more > 0 else 0.0
            return Streamed(first or now, rate, event.outcome)
    raise AssertionError("a generation ends with Finished")


async def filled(
    engine: Engine | RemoteEngine, head: Sequence[Segment], messages: Iterator[Segment], room: int
) -> tuple[list[Segment], list[int]]:
    """Return so many of the messages that they and the head fit into `room`, and their tokens."""
    left = room - sum(await engine.count([segment.text for segment in head]))
    taken: list[Segment] = []
    sizes: list[int] = []
    while True:
        batch = [next(messages) for _ in range(64)]
        for segment, size in zip(
            batch, await engine.count([each.text for each in batch]), strict=True
        ):
            if size > left:
                return taken, sizes
            left -= size
            taken.append(segment)
            sizes.append(size)
