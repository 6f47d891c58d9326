"""What the app adds to a turn, from the call for a reply to the engine's request."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

from shoritui.benchmark import Aim, Figure, benchmark
from shoritui.cards import load_cards
from shoritui.demo import model_path
from shoritui.director import Director, Disk, new_chat
from shoritui.engine import (
    Engine,
    EngineOptions,
    Event,
    Finished,
    Outcome,
    Segment,
    Text,
    presets,
)
from shoritui.folders import bundled_dir
from shoritui.settings import Settings
from shoritui.story import Draft, Library

SIZES = (100, 10_000)
TURNS = 30
_WARM = 3
_WORDS = "The fog came in over the quay and took the posts one by one. " * 8


@benchmark(Aim("turn_overhead", "ratio", "<= 1.5"), Aim("turn_overhead_10k", "ms"))
def turn_overhead() -> dict[str, Figure]:
    """Turns in a story of 10,000 messages / in one of 100, in turn; the context is full in both."""
    short, long = asyncio.run(_measure())
    ratios = [ours / theirs for ours, theirs in zip(long, short, strict=True)]
    return {"turn_overhead": Figure(ratios), "turn_overhead_10k": Figure(long)}


async def _measure() -> list[list[float]]:
    engine = _Instant()
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    times: list[list[float]] = [[] for _ in SIZES]
    with tempfile.TemporaryDirectory() as folder:
        disk = await Disk.open(Path(folder) / "library.db")
        try:
            directors = [await _director(disk, engine, size) for size in SIZES]
            for turn in range(TURNS + _WARM):
                for director, found in zip(directors, times, strict=True):
                    milliseconds = await _turn(director, engine, turn)
                    found += [milliseconds] if turn >= _WARM else []
        finally:
            await disk.close()
            await engine.close()
    return times


async def _director(disk: Disk, engine: Engine, size: int) -> Director:
    scene = load_cards([sorted(bundled_dir("characters").glob("*.toml"))[0]])
    chat = await new_chat(disk, scene)

    def fill(library: Library) -> None:
        for number in range(size - len(scene.messages)):
            speaker = scene.characters[number % len(scene.characters)].name
            text = f"{number}: {_WORDS}"
            library.append(chat.id, Draft("message", speaker, text, "short", tokens=140))

    await disk.run(fill)
    return await Director.open(disk, chat, engine, Settings(), presets(None)[0])


async def _turn(director: Director, engine: _Instant, turn: int) -> float:
    """Return the milliseconds from the call to the request."""
    async for _ in director.say(f"And then, for the time {turn}?"):
        pass
    started = time.perf_counter()
    async for _ in director.reply():
        pass
    return 1000 * (engine.asked - started)


class _Instant(Engine):
    """An engine that counts tokens as ever, and replies at once."""

    asked = 0.0
    """When the last reply was asked for."""

    async def generate(
        self, document: Sequence[Segment], *args: Any, **rest: Any
    ) -> AsyncGenerator[Event, None]:
        """Reply with a few words."""
        self.asked = time.perf_counter()
        yield Text(" Nobody knew.", 3)
        yield Finished(Outcome("block_end", " Nobody knew.", 1, 1, 0, 3, 0.0, 0.0))
