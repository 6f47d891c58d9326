"""A worker that hangs: it is ended after a cancel that nothing answers, and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from shoritui.engine import Engine, EngineState, Sampling, WorkerDied
from shoritui.engine.worker import process
from shoritui.engine.worker.process import Watchdog
from tests.engine.conftest import HEADER, SCENE, opened, write
from tests.engine.test_engine import long_document
from tests.engine.worker.test_worker import gone, workers

pytestmark = pytest.mark.slow

linux = pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are read in /proc")


@pytest.fixture
def hang_seconds() -> float:
    return 1.0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, hang_seconds: float) -> None:
    start = process.WorkerProcess.start

    async def soon(on_end: object) -> process.WorkerProcess:
        return await start(on_end, hang_seconds=hang_seconds)  # type: ignore[arg-type]

    monkeypatch.setattr(process.WorkerProcess, "start", soon)


@linux
@pytest.mark.parametrize("how", ["cancel", "leave"])
async def test_a_worker_that_hangs_is_ended_and_comes_back(
    model: Path, impatient: None, how: str
) -> None:
    async with opened(model) as engine:
        before = await write(engine, [*SCENE, HEADER])
        (pid,) = workers()
        generation = engine.generate(long_document(60), Sampling(seed=1), max_tokens=500)
        await anext(generation)
        states: list[EngineState] = []
        engine._on_change, worker = states.append, engine._worker
        os.kill(pid, signal.SIGSTOP)
        if how == "cancel":
            await engine.cancel()
            with pytest.raises(WorkerDied, match=r"did not answer for 1 seconds"):
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
@pytest.mark.parametrize("hang_seconds", [4.0])  # A busy machine's worker is slow to answer.
async def test_a_cancel_that_is_answered_kills_nothing(
    model: Path, impatient: None, hang_seconds: float
) -> None:
    async with opened(model) as engine:
        (pid,) = workers()
        generation = engine.generate(long_document(60), Sampling(seed=1), max_tokens=500)
        await anext(generation)
        await generation.aclose()
        await asyncio.sleep(hang_seconds + 0.3)
        assert workers() == [pid]


@linux
async def test_closing_ends_a_worker_that_hangs(model: Path) -> None:
    engine = Engine()
    await engine.open(model)
    (pid,) = workers()
    os.kill(pid, signal.SIGSTOP)
    await engine.close()
    assert gone(pid)


class Silences:
    def __init__(self) -> None:
        self.count = 0
        self.watch = Watchdog(self._silent, 0.05)

    def _silent(self) -> None:
        self.count += 1


async def test_silence_is_only_meant_after_a_cancel() -> None:
    silences = Silences()
    silences.watch.sent(1)
    await asyncio.sleep(0.1)
    assert silences.count == 0
    silences.watch.cancelled(1)
    await asyncio.sleep(0.1)
    assert silences.count == 1
    await asyncio.sleep(0.1)
    assert silences.count == 1


async def test_a_reply_is_a_sign_of_life() -> None:
    silences = Silences()
    silences.watch.sent(1)
    silences.watch.cancelled(1)
    silences.watch.heard(1, last=True)
    await asyncio.sleep(0.1)
    assert silences.count == 0


async def test_work_that_nobody_cancelled_may_take_its_time() -> None:
    silences = Silences()
    silences.watch.sent(1)
    silences.watch.sent(2)
    silences.watch.cancelled(2)
    await asyncio.sleep(0.2)
    assert silences.count == 0
    silences.watch.heard(1, last=True)
    await asyncio.sleep(0.1)
    assert silences.count == 1
