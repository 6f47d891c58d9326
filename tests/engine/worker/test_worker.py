"""The worker process: its end, its silence, and files it cannot load."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shoritui.engine import (
    Engine,
    EngineOptions,
    EngineState,
    WorkerDied,
    describe,
    inspect_model,
)
from shoritui.errors import UserError
from tests.engine.conftest import ENDLESS, HEADER, SCENE, kill_worker, write
from tests.engine.test_engine import long_document

pytestmark = pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="processes are read in /proc"
)

SCRIPT = """
import asyncio, sys
from pathlib import Path
from shoritui.engine import Engine, Sampling, Segment, describe

async def main():
    engine = Engine()
    await engine.open(Path(sys.argv[1]))
    if sys.argv[2] == "stay":
        print("open", flush=True)
        await asyncio.sleep(60)
    async for event in engine.generate([Segment("▀title\\nT")], Sampling(), max_tokens=5):
        pass
    await engine.close()

asyncio.run(main())
describe()
"""


def workers(parent: int | None = None) -> list[int]:
    """The worker processes that `parent`, or this process, has started and not yet ended."""
    wanted = parent or os.getpid()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            ppid = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_text()
        except (OSError, IndexError):
            continue
        if ppid == wanted and "shoritui.engine.worker" in command:
            found.append(int(entry.name))
    return found


def gone(pid: int, within: float = 10) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


async def test_a_killed_worker_comes_back_with_the_same_model(model: Path) -> None:
    phases: list[str] = []
    engine = Engine(lambda state: phases.append(state.phase))
    await engine.open(model)
    before = await write(engine, [*SCENE, HEADER])
    (pid,) = workers()
    generation = engine.generate(long_document(60), ENDLESS, max_tokens=900)
    await anext(generation)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerDied, match="The model's process ended: it was killed"):
        async for _ in generation:
            pass
    assert phases[-1] == "restarting"
    assert (await write(engine, [*SCENE, HEADER])).text == before.text
    assert phases[-1] == "ready"
    assert workers() != [pid]
    await engine.close()


@pytest.mark.parametrize("moment", ["starting", "loading"])
async def test_a_worker_that_dies_in_its_first_load_is_started_again_by_the_next_call(
    model: Path, moment: str
) -> None:
    states: list[EngineState] = []
    killed: list[int] = []

    def follow(state: EngineState) -> None:
        states.append(state)
        if state.phase == "loading" and not killed:
            killed.extend(workers())
            os.kill(killed[0], signal.SIGKILL)

    engine = Engine(follow)
    opening = asyncio.create_task(engine.open(model))
    if moment == "starting":
        while not (found := workers()):
            await asyncio.sleep(0.001)
        killed.extend(found)
        os.kill(found[0], signal.SIGKILL)
    with pytest.raises(WorkerDied, match="The model's process ended: it was killed"):
        await opening
    assert states[-1].phase == "failed"
    failed = len(states)
    assert (await write(engine, [*SCENE, HEADER])).generated_tokens > 0
    assert states[failed].phase == "restarting" and "it was killed" in states[failed].message
    assert engine.info is not None and workers() != killed
    await engine.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_worker_killed_between_calls_is_not_noticed(fresh: Engine) -> None:
    await kill_worker(fresh)
    assert (await write(fresh, [*SCENE, HEADER])).generated_tokens > 0


async def test_closing_leaves_no_process(model: Path) -> None:
    engine = Engine()
    await engine.open(model)
    (pid,) = workers()
    generation = engine.generate(long_document(60), ENDLESS, max_tokens=900)
    await anext(generation)
    await engine.close()
    assert gone(pid)
    assert workers() == []


@pytest.mark.asyncio(loop_scope="module")
async def test_a_call_in_flight_hears_of_the_close(fresh: Engine) -> None:
    generation = fresh.generate(long_document(60), ENDLESS, max_tokens=900)
    await anext(generation)
    await fresh.close()
    with pytest.raises(UserError, match="it was closed"):
        async for _ in generation:
            pass


async def test_closing_while_loading_leaves_no_process(model: Path) -> None:
    engine = Engine()
    opening = asyncio.create_task(engine.open(model))
    while not workers():
        await asyncio.sleep(0.01)
    await engine.close()
    with pytest.raises(UserError, match="closed before the model was ready"):
        await opening
    assert workers() == []


def test_a_killed_app_leaves_no_worker(model: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(model), "stay"], stdout=subprocess.PIPE, text=True
    ) as app:
        assert app.stdout is not None
        assert app.stdout.readline() == "open\n"
        (pid,) = workers(app.pid)
        app.kill()
    assert gone(pid)


def test_nothing_is_printed(model: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-X", "dev", "-c", SCRIPT, str(model), "go"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


def test_importing_the_engine_loads_no_library() -> None:
    code = "import sys, shoritui.engine; print(sorted({'llama_cpp', 'numpy'} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_the_installation_describes_itself() -> None:
    description = describe()
    assert description.package.startswith("0.3.")
    assert description.n_threads >= 1


def test_a_broken_installation_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", "/nowhere")
    with pytest.raises(UserError, match=r"^llama-cpp-python cannot be loaded \(.*\n?.*"):
        describe()


def test_a_model_is_inspected_without_loading_it(model: Path) -> None:
    small, large = (inspect_model(model, EngineOptions(n_ctx=n)) for n in (512, 2048))
    assert (small.n_ctx, large.n_ctx) == (512, 2048)
    assert small.n_params == large.n_params > 100_000
    assert large.memory_bytes > small.memory_bytes > small.size_bytes
    assert small.block_tokens


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "empty", "noise"])
async def test_a_file_that_is_no_model_is_told_in_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model.gguf"
    match kind:
        case "folder":
            path.mkdir()
        case "text":
            path.write_text("hello")
        case "empty":
            path.touch()
        case "noise":
            path.write_bytes(b"GGUF" + bytes(range(256)) * 8)
    with pytest.raises(UserError, match=str(path)) as caught:
        await Engine().open(path)
    assert "\n" not in str(caught.value)
    assert workers() == []


def test_inspecting_a_file_that_is_no_model_is_told_too(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(range(256)) * 8)
    with pytest.raises(UserError, match="GGUF version 50462976: expected 2 or 3"):
        inspect_model(path)


async def test_a_context_that_cannot_fit_is_refused_with_one_that_would(model: Path) -> None:
    with pytest.raises(
        UserError, match=r"needs about [\d,.]+ GiB of memory .* this machine has .*: set n_ctx = \d"
    ):
        await Engine().open(model, EngineOptions(n_ctx=1_000_000_000))
