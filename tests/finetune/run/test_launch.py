"""A training process is started, heard, stopped, killed, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from shoritui.finetune.events import Event, Failed, Reported, RunEnded, Stepped
from shoritui.finetune.run.crash_causes import cause_of, likely_cause
from shoritui.finetune.run.launch import arguments_of, launched
from shoritui.folders import HOME_VARIABLE
from tests.finetune.run.scripted import scripted

END = RunEnded(False, 1, 0.5, "adapters/low")
STOPPED = RunEnded(True, 1, 0.5, "")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def playing(tmp_path: Path) -> Callable[[str], tuple[str, str]]:
    """A command that plays a part on a worker's own pipes."""

    return partial(scripted, tmp_path)


Playing = Callable[[str], tuple[str, str]]


async def heard(command: tuple[str, str], *, stop_at: int = 0) -> list[Event]:
    """All events; `stop` is asked at so many steps, once for each step from there on."""
    events: list[Event] = []
    async with launched((), command) as run:
        async for event in run:
            events.append(event)
            if stop_at and isinstance(event, Stepped) and event.step >= stop_at:
                run.stop()
    assert not is_running(run.pid)
    return events


def is_running(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


async def gone(pid: int) -> None:
    for _ in range(1000):
        if not is_running(pid):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the process stayed behind")


def descriptors() -> set[str]:
    return {
        f"{entry.name}:{target}"
        for entry in Path("/proc/self/fd").iterdir()
        if (target := str(entry.readlink()) if entry.is_symlink() else "").startswith("pipe:")
    }


async def test_events_come_in_order_and_what_libraries_print_goes_to_the_log(
    playing: Playing, home: Path
) -> None:
    before = descriptors()
    events: list[Event] = []
    part = """
    print("a library says this")
    os.system("echo a program says that; echo and this too >&2")
    wire.emit(Reported("\\x1b[2Jcafé ▀\\n"))
    step(1)
    end(False)
    """
    async with launched((), playing(part)) as run:
        async for event in run:
            events.append(event)
    assert [type(event) for event in events] == [Reported, Stepped, RunEnded]
    assert events[0] == Reported("\x1b[2Jcafé ▀\n") and events[-1] == END
    log = run.log.read_text()
    assert "a library says this" in log and "a program says that" in log and "this too" in log
    assert run.log.is_relative_to(home / "cache" / "finetune" / "logs")
    assert descriptors() == before


async def test_a_flood_arrives_whole_and_lets_others_do_their_work(playing: Playing) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    working = asyncio.create_task(other())
    events = await heard(playing("for n in range(20000): step(n + 1)\nend(False)"))
    working.cancel()
    assert [event.step for event in events[:-1] if isinstance(event, Stepped)] == list(
        range(1, 20001)
    )
    assert turns > 20


async def test_asked_once_it_saves_and_ends(playing: Playing) -> None:
    part = "step(1)\nstop.wait()\nwire.emit(Saved('low', 1))\nend(True)"
    events = await heard(playing(part), stop_at=1)
    assert [type(event).__name__ for event in events] == ["Stepped", "Saved", "RunEnded"]
    assert events[-1] == STOPPED


async def test_asked_twice_it_is_killed(playing: Playing) -> None:
    events = await heard(playing("step(1)\nstep(2)\ntime.sleep(600)"), stop_at=1)
    assert isinstance(events[-2], Reported) and "at once" in events[-2].text
    assert events[-1] == RunEnded(True, 2, 1.0, "")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
async def test_a_signal_asks_it_too(playing: Playing, name: str) -> None:
    part = f"step(1)\nos.kill(os.getpid(), signal.{name})\nstop.wait()\nend(True)"
    assert (await heard(playing(part)))[-1] == STOPPED


async def test_left_early_it_saves_and_ends(playing: Playing, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    part = f"""
    step(1)
    stop.wait()
    for n in range(5000): step(n)  # more than a pipe holds, while nobody reads
    open({str(saved)!r}, "w")
    end(True)
    """
    async with launched((), playing(part)) as run:
        async for _ in run:
            break
    assert saved.exists() and not is_running(run.pid)


async def test_what_a_cancelled_watcher_leaves_behind_is_nothing(
    playing: Playing, tmp_path: Path
) -> None:
    saved = tmp_path / "saved"
    pids: list[int] = []

    async def watch() -> None:
        command = playing(f"step(1)\nstop.wait()\nopen({str(saved)!r}, 'w')\nend(True)")
        async with launched((), command) as run:
            async for _ in run:
                pids.append(run.pid)

    watching = asyncio.create_task(watch())
    while not pids:
        await asyncio.sleep(0.01)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert saved.exists() and not is_running(pids[0])


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "memory ran out"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("raise MemoryError", "memory ran out"),
        ("os._exit(3)", "exit status 3"),
        ("raise SystemExit('the last word of a library')", "the last word of a library"),
        ("sys.stderr.write('OSError: [Errno 28] No space left on device'); os._exit(1)", "disk"),
    ],
)
async def test_a_crash_is_told_with_a_likely_cause_and_the_log(
    playing: Playing, part: str, told: str
) -> None:
    events = await heard(playing(f"step(1)\n{part}"))
    assert isinstance(events[-1], Failed) and [type(event) for event in events[:-1]] == [Stepped]
    assert told in events[-1].text and ".log" in events[-1].text


async def test_a_crash_is_heard_though_its_children_live_on(playing: Playing) -> None:
    part = """
    child = os.fork()
    if child == 0:
        time.sleep(600)
    wire.emit(Reported(str(child)))
    os.kill(os.getpid(), signal.SIGKILL)
    """
    events = await heard(playing(part))
    assert isinstance(events[0], Reported) and isinstance(events[-1], Failed)
    await gone(int(events[0].text))


async def test_half_a_line_and_what_is_no_event_are_left_out(playing: Playing) -> None:
    part = """
    wire._pipe.write(b'hello from a startup file\\n{"event": "unknown"}\\n')
    step(1)
    wire._pipe.write(b'{"event": "stepp')
    wire._pipe.flush()
    os.kill(os.getpid(), signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
    """
    events = await heard(playing(part))
    assert [type(event) for event in events] == [Stepped, Failed]


async def test_a_worker_whose_watcher_was_killed_saves_and_ends(
    playing: Playing, tmp_path: Path
) -> None:
    saved = tmp_path / "saved"
    part = f"step(1)\nstop.wait()\nstep(2)\nopen({str(saved)!r}, 'w')\nend(True)"
    watcher = f"""
import asyncio, os, signal
from shoritui.finetune.run.launch import launched
async def main():
    async with launched((), {playing(part)!r}) as run:
        async for event in run:
            print(run.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", watcher], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    await gone(int(done.stdout))
    assert saved.exists()


async def test_ctrl_c_in_a_terminal_reaches_only_who_watches(playing: Playing) -> None:
    async with launched((), playing("step(1)\nstop.wait()\nend(True)")) as run:
        assert os.getpgid(run.pid) == run.pid != os.getpgid(0)
        assert os.getsid(run.pid) == run.pid


async def test_the_worker_says_what_is_wrong_with_a_config(tmp_path: Path) -> None:
    options = Namespace(demo=False, config=tmp_path / "none.toml")
    async with launched(arguments_of(options)) as run:
        events = [event async for event in run]
    assert isinstance(events[-1], Failed) and "none.toml" in events[-1].text
    assert "Traceback" not in run.log.read_text()


async def test_old_logs_do_not_pile_up(playing: Playing, home: Path) -> None:
    folder = home / "cache" / "finetune" / "logs"
    folder.mkdir(parents=True)
    for number in range(50):
        (folder / f"20200101-{number:06}.log").touch()
    await heard(playing("end(False)"))
    left = sorted(path.name for path in folder.iterdir())
    assert len(left) == 20 and left[0] == "20200101-000031.log"
    assert left[-1].startswith(time.strftime("%Y"))


def test_causes_are_one_clean_sentence_without_its_end() -> None:
    assert "torch is not installed" in cause_of(ModuleNotFoundError("No module", name="torch.nn"))
    assert "shoritui[finetune]" in cause_of(ModuleNotFoundError("No module", name="peft"))
    assert cause_of(ModuleNotFoundError("No module named 'x'", name="x")).startswith("ModuleNot")
    assert "rung" in cause_of(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert cause_of(ValueError("\x1b[2Jone\ntwo.")) == "ValueError: one"
    assert likely_cause(1, "\n\n") == "exit status 1"
    assert len(likely_cause(1, "x" * 5000)) < 300
