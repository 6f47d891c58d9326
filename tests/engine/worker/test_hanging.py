"""A worker that hangs: it is noticed, ended after a cancel that nothing answers, and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from shoritui.engine import Engine, EngineState, Sampling, WorkerDied
from shoritui.engine.worker import process, protocol
from shoritui.engine.worker.process import Watchdog
from tests.engine.conftest import ENDLESS, HEADER, SCENE, opened, write
from tests.engine.test_engine import long_document
from tests.engine.worker.test_worker import gone, workers

pytestmark = pytest.mark.slow

linux = pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are read in /proc")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    start = process.WorkerProcess.start

    async def soon(on_end: Any, on_silence: Any) -> process.WorkerProcess:
        return await start(on_end, on_silence, beat=0.3)

    monkeypatch.setattr(process.WorkerProcess, "start", soon)


@linux
@pytest.mark.parametrize("how", ["cancel", "leave", "wait"])
async def test_a_worker_that_hangs_is_ended_and_comes_back(
    model: Path, impatient: None, how: str
) -> None:
    async with opened(model) as engine:
        before = await write(engine, [*SCENE, HEADER])
        (pid,) = workers()
        generation = engine.generate(long_document(60), ENDLESS, max_tokens=900)
        await anext(generation)
        states: list[EngineState] = []
        engine._on_change, worker = states.append, engine._worker
        os.kill(pid, signal.SIGSTOP)
        if how != "leave":
            if how == "cancel":
                await engine.cancel()
            with pytest.raises(WorkerDied, match=r"it did not answer for [\d.]+ seconds"):
                async for _ in generation:
                    pass
        else:
            await generation.aclose()
            while engine._worker is worker:
                await asyncio.sleep(0.01)
            assert any("did not answer" in state.message for state in states)
        assert gone(pid)
        assert (await write(engine, [*SCENE, HEADER])).text == before.text


@linux
async def test_a_worker_that_stands_still_for_a_while_is_noticed_and_goes_on(model: Path) -> None:
    async with opened(model) as engine:
        (pid,) = workers()
        phases: list[str] = []
        engine._on_change = lambda state: phases.append(state.phase)
        generation = engine.generate(long_document(60), Sampling(seed=1), max_tokens=20)
        os.kill(pid, signal.SIGSTOP)  # before it is asked, or a fast one might have ended by then
        reading = asyncio.ensure_future(anext(generation))
        while "silent" not in phases:
            await asyncio.sleep(0.01)
        os.kill(pid, signal.SIGCONT)
        await reading
        async for _ in generation:
            pass
        assert phases[-1] == "ready" and workers() == [pid]


async def test_a_cancel_that_is_answered_kills_nothing(model: Path, impatient: None) -> None:
    async with opened(model) as engine:
        (pid,) = workers()
        generation = engine.generate(long_document(60), ENDLESS, max_tokens=900)
        await anext(generation)
        await generation.aclose()
        await asyncio.sleep(0.3 * (process.SILENT_BEATS + 2))
        assert workers() == [pid]


@linux
async def test_closing_ends_a_worker_that_hangs(model: Path) -> None:
    engine = Engine()
    await engine.open(model)
    (pid,) = workers()
    os.kill(pid, signal.SIGSTOP)
    await engine.close()
    assert gone(pid)


class Watched:
    """A watchdog whose beats the test counts out."""

    def __init__(self) -> None:
        self.pings = 0
        self.told: list[object] = []
        self.watch = Watchdog(self._ping, self.told.append, self._hang, 1000.0)

    def beat(self, times: int, *, lives: bool = False) -> list[object]:
        """Let so many beats pass, each with a sign of life or without; what was told so far."""
        for _ in range(times):
            self.watch._beat()
            if lives:
                self.watch.heard(protocol.Alive(-1))
        return self.told

    def _ping(self) -> None:
        self.pings += 1

    def _hang(self, seconds: float) -> None:
        self.told.append(seconds)
        self.watch.end()


@pytest.fixture
async def watched() -> AsyncGenerator[Watched]:
    watched = Watched()
    yield watched
    watched.watch.end()


async def test_work_that_nobody_cancelled_may_take_its_time(watched: Watched) -> None:
    watched.watch.sent(1)
    watched.watch.sent(2)
    watched.watch.cancelled(2)
    assert watched.beat(200, lives=True) == []
    watched.watch.heard(protocol.Failed(1, ""))
    assert watched.beat(14, lives=True) == []
    assert watched.beat(1) == [15_000.0]


async def test_a_cancel_may_take_its_time_as_long_as_something_gets_on(watched: Watched) -> None:
    watched.watch.sent(1)
    watched.watch.cancelled(1)
    for _ in range(20):
        watched.watch.heard(protocol.Loading(1, 0.5))
        assert watched.beat(14, lives=True) == []
    watched.watch.heard(protocol.Failed(1, ""))
    assert watched.beat(200) == []


async def test_silence_is_told_once_and_its_end(watched: Watched) -> None:
    watched.watch.sent(1)
    watched.watch.heard(protocol.Loading(1, 0.5))
    assert watched.beat(2) == []
    assert watched.beat(5) == [True]
    watched.watch.heard(protocol.Alive(-1))
    assert watched.told == [True, False]
    assert watched.beat(15) == [True, False, True, 15_000.0]
    assert watched.beat(100)[4:] == []


async def test_silence_after_a_cancel_is_not_waited_for(watched: Watched) -> None:
    watched.watch.sent(1)
    watched.watch.heard(protocol.Loading(1, 0.5))
    watched.watch.cancelled(1)
    assert watched.beat(2) == []
    assert watched.beat(1) == [3_000.0]


async def test_libraries_may_take_long_to_load(watched: Watched) -> None:
    watched.watch.sent(1)
    assert watched.beat(59) == []
    assert watched.beat(1) == [60_000.0]


async def test_nobody_is_asked_who_has_nothing_to_do(watched: Watched) -> None:
    watched.watch.sent(1)
    watched.watch.heard(protocol.Failed(1, ""))
    assert watched.beat(100) == [] and watched.pings == 0
