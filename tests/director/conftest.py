"""A director on a real library and the real engine with the model that ships."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from shoritui.cards import Card, Character, Lore, Opening
from shoritui.demo import model_path
from shoritui.director import Director, Disk, Event, new_chat
from shoritui.engine import Engine, EngineOptions, Segment, presets
from shoritui.engine import Event as EngineEvent
from shoritui.settings import Settings

MARA = Character(
    name="Mara",
    aliases=("Captain",),
    description="**Name:** Mara\n**Personality:** warm, patient\nShe carries a brass lantern.",
)
TOBIN = Character(
    name="Tobin",
    description="**Name:** Tobin\n**Personality:** sarcastic\nHe carries a bent spoon.",
)
ISOLDE = Character(name="Isolde", description="Isolde is a tide clerk who counts waves.")
YOU = Character(name="Wren", description="Wren keeps the ferry's log.", user=True)
SCENE = Card(
    title="The Lantern on the Quay",
    tags=("ferry", "fog", "harbour"),
    scenario="Before dawn, they must find the brass lantern.",
    characters=(MARA, TOBIN, ISOLDE, YOU),
    lore=(
        Lore(name="The fog", text="The fog comes every ninth night."),
        Lore(name="The bell", text="The bell has no clapper.", keys=("bell",)),
    ),
    messages=(
        Opening(speaker="Mara", text='Mara lifted the lantern. "Who goes there?"'),
        Opening(speaker="Tobin", text='"Only me," Tobin said.', length="tiny"),
    ),
)


class Listening(Engine):
    """The real engine, with an ear for what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.documents: list[str] = []

    async def generate(
        self, document: Sequence[Segment], *args: Any, **kwargs: Any
    ) -> AsyncGenerator[EngineEvent, None]:
        self.documents.append("".join(segment.text for segment in document))
        async for event in super().generate(document, *args, **kwargs):
            yield event


OpenDirector = Callable[..., Awaitable[Director]]


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine()
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    yield engine
    await engine.close()


@pytest_asyncio.fixture(loop_scope="module")
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    disk = await Disk.open(tmp_path / "library.db")
    yield disk
    await disk.close()


@pytest.fixture
def open_director(engine: Engine, disk: Disk) -> OpenDirector:
    """Opens a director of a new chat; keyword arguments are settings."""

    async def opened(scene: Card = SCENE, **settings: object) -> Director:
        chosen = Settings(**{"max_tokens": 48, **settings})  # type: ignore[arg-type]
        chat = await new_chat(disk, scene)
        director = await Director.open(disk, chat, engine, chosen, presets(None)[0])
        await director.chat.change_sampling(seed=11)
        return director

    return opened


async def read(events: AsyncGenerator[Event]) -> list[Event]:
    """All events of an action."""
    return [event async for event in events]


def listening(director: Director) -> Listening:
    """The director's engine, where it is one that listens."""
    assert isinstance(director.engine, Listening)
    return director.engine
