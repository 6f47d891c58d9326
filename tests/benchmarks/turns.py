"""What a turn evaluates: thirty turns of a story with four characters, a new speaker each time."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

from shoritui.cards import Card, load_cards
from shoritui.demo import model_path
from shoritui.director import Director, Disk, Event, TurnEnded, new_chat
from shoritui.engine import Engine, EngineOptions, Outcome, presets
from shoritui.settings import Settings, bundled_dir
from tests.benchmarks import Aim, Samples, benchmark

TURNS = 30


@benchmark(Aim("evaluated_beyond_new_text", "tokens", "<= 32"))
def evaluated_per_turn() -> Samples:
    """Tokens evaluated in each turn beyond the text that is new in it; the worst turn counts."""
    return {"evaluated_beyond_new_text": [max(asyncio.run(_thirty_turns()))]}


async def _thirty_turns() -> list[float]:
    engine = Engine()
    with tempfile.TemporaryDirectory() as folder:
        disk = await Disk.open(Path(folder) / "library.db")
        try:
            await engine.open(model_path(), EngineOptions(n_ctx=8192))
            director = await _director(disk, engine)
            return [each async for each in _turns(director)]
        finally:
            await engine.close()
            await disk.close()


async def _director(disk: Disk, engine: Engine) -> Director:
    cards = sorted(bundled_dir("characters").glob("*.toml"))
    scenes: list[Card] = [load_cards([card]) for card in cards]
    scene = next(scene for scene in scenes if len(scene.characters) >= 4)
    chat = await new_chat(disk, scene)
    director = await Director.open(disk, chat, engine, Settings(max_tokens=64), presets(None)[0])
    await director.change_sampling(seed=1)
    return director


async def _turns(director: Director) -> AsyncGenerator[float]:
    await _outcome(director.reply())
    others = [name for name in director.cast if name != director.user]
    for turn in range(TURNS):
        before = director.figures.context_used
        async for _ in director.say(f"Turn {turn}: what do you make of it?"):
            pass
        outcome = await _outcome(director.reply(others[turn % len(others)]))
        yield outcome.evaluated_tokens - (outcome.prompt_tokens - before)


async def _outcome(events: AsyncGenerator[Event]) -> Outcome:
    happened = [event async for event in events]
    for event in happened:
        if isinstance(event, TurnEnded):
            return event.outcome
    raise AssertionError(f"the turn came to nothing: {happened[-1:]}")
