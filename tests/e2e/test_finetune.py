"""A person trains the demo, loses the machine on the way, takes a story away, has an adapter."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from shoritui.demo import held_out_stories, model_path
from shoritui.engine import Adapter, Engine, EngineOptions, Segment
from shoritui.finetune.events import Event, RunEnded, RunStarted, Saved, Stepped, TierEnded
from shoritui.finetune.events import from_json as event_of
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.slow

FINETUNE = (sys.executable, "-m", "shoritui", "finetune")
PATIENCE = 600
"""Seconds to wait for what a busy machine may take long to do."""


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "SHORITUI_HOME": str(home), "TEXTUAL_ANIMATIONS": "none"}


def run(home: Path, *arguments: str) -> list[Event]:
    """A whole run, as its events."""
    done = subprocess.run(
        [*FINETUNE, *arguments, "--json"],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert not done.stderr
    return [event_of(line) for line in done.stdout.splitlines()]


def trained(events: Sequence[Event]) -> list[str]:
    """The tiers that took steps, in their order."""
    return list(dict.fromkeys(event.tier for event in events if isinstance(event, Stepped)))


def ended(events: Sequence[Event]) -> RunEnded:
    last = events[-1]
    assert isinstance(last, RunEnded) and not last.stopped
    return last


def lose_power(home: Path) -> None:
    """The live view and the training process are killed at once, once a state is on disk."""
    command = (*FINETUNE, "--demo")
    with Terminal(command, columns=120, rows=40, env=environment(home)) as terminal:
        terminal.wait_for(lambda _: bool(processes(home)), PATIENCE)
        end = time.monotonic() + PATIENCE
        while not list((home / "cache" / "finetune" / "tiers").glob("*/state*")):
            assert time.monotonic() < end, terminal.text
            terminal.read(0.2)
        terminal.wait_for(lambda text: "low" in text and "loss" in text)
        for process in (*processes(home), terminal.process.pid):
            os.kill(process, signal.SIGKILL)


def processes(home: Path) -> list[int]:
    """The training processes of this home."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            mine = f"SHORITUI_HOME={home}".encode() in (path / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mine and b"shoritui.finetune.run.worker" in words:
            found.append(int(path.name))
    return found


async def surprise(adapters: tuple[Adapter, ...]) -> float:
    """How unlikely the model finds a story that no tier holds, in nats a token."""
    text = (held_out_stories() / "single-or-return.txt").read_text(encoding="utf-8")
    engine = Engine()
    await engine.open(model_path(), EngineOptions(n_ctx=2048, adapters=adapters))
    try:
        [logprobs] = await engine.logprobs([Segment(text)])
    finally:
        await engine.close()
    return -sum(logprobs) / len(logprobs)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def test_five_tiers_from_a_killed_run_to_stories_better_known(home: Path) -> None:
    lose_power(home)

    events = run(home, "--demo")
    begun = next(event for event in events if isinstance(event, RunStarted))
    assert [tier.name for tier in begun.tiers] == ["low", "mid", "high", "top", "top-pg13"]
    assert begun.tiers[0].resumes_at > 0
    assert (
        ended(events).steps == sum(tier.steps for tier in begun.tiers) - begun.tiers[0].resumes_at
    )
    assert trained(events) == [tier.name for tier in begun.tiers]
    assert any(isinstance(event, Saved) for event in events)

    again = run(home, "--demo")
    assert ended(again).steps == 0 and trained(again) == []
    assert all(event.cached for event in again if isinstance(event, TierEnded))

    folder = home / "data" / "finetune-demo"
    sorted((folder / "high").glob("*.txt"))[0].unlink()
    assert trained(run(home, "--demo")) == ["high", "top", "top-pg13"]

    exported = export(home, "--demo", "--tier", "top", "--verify")
    adapter = Path(exported["path"])
    assert asyncio.run(surprise((Adapter(adapter),))) < asyncio.run(surprise(()))


def export(home: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [*FINETUNE, "export", *arguments, "--json"],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts
