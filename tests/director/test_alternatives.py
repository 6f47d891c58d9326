"""Replies written while the last one is read: there at once when asked for, in nobody's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from shoritui.demo import model_path
from shoritui.director import Director, Removed, TurnEnded, TurnStarted, Wrote
from shoritui.engine import Engine, EngineOptions, Finished, Outcome, Sampling, Segment, Text
from shoritui.engine import Event as EngineEvent
from tests.director.conftest import OpenDirector, read

AT_ONCE = {"alternatives": 1, "max_tokens": 400, "length": "tiny"}


class Watched(Engine):
    """The real engine; what of it was asked for, and how idle writing went."""

    def __init__(self) -> None:
        super().__init__()
        self.forget()

    def forget(self) -> None:
        self.asked = self.idle_asked = self.idle_texts = 0
        self.idle_ended: list[str] = []

    async def generate(
        self, document: Sequence[Segment], sampling: Sampling, *, idle: bool = False, **rest: Any
    ) -> AsyncGenerator[EngineEvent, None]:
        if idle:
            self.idle_asked += 1
        else:
            self.asked += 1
        async for event in super().generate(document, sampling, idle=idle, **rest):
            if idle and isinstance(event, Text):
                self.idle_texts += 1
            if idle and isinstance(event, Finished):
                self.idle_ended.append(event.outcome.stop)
            yield event


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def watched() -> AsyncIterator[Watched]:
    """One for all tests; its cache holds what they left."""
    engine = Watched()
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    yield engine
    await engine.close()


@pytest.fixture
def engine(watched: Watched) -> Watched:
    watched.forget()
    return watched


async def ready(director: Director) -> None:
    director.look_ahead(speaker="Mara")
    await director.settled()


async def replied(director: Director) -> Outcome:
    events = await read(director.reply("Mara"))
    [outcome] = [event.outcome for event in events if isinstance(event, TurnEnded)]
    return outcome


async def at_once(director: Director, engine: Watched) -> TurnEnded:
    """A retry for which the engine does nothing; its events are those of one that is streamed."""
    before = engine.asked + engine.idle_asked, await engine.stats()
    removed, started, *wrote, ended = await read(director.regenerate())
    assert (engine.asked + engine.idle_asked, await engine.stats()) == before
    assert isinstance(removed, Removed) and isinstance(started, TurnStarted)
    assert isinstance(ended, TurnEnded)
    pieces = [event.text for event in wrote if isinstance(event, Wrote)]
    assert len(pieces) == len(wrote) and "".join(pieces) == ended.entry.text
    assert (ended.entry.status, ended.outcome.stop) == ("complete", "block_end")
    assert ended.outcome.evaluated_tokens == director.figures.evaluated == 0
    assert ended.outcome.reused_tokens == ended.outcome.prompt_tokens
    assert ended.entry.tokens == ended.outcome.generated_tokens
    return ended


async def test_a_retry_is_there_at_once_and_goes_on_for_nothing(
    open_director: OpenDirector, engine: Watched
) -> None:
    # Without hints: a reply that missed its hint would be read once more with the one it earned.
    director = await open_director(**{**AT_ONCE, "length": "auto"})
    await director.chat.change_sampling(seed=None, temperature=1.5)
    await replied(director)
    first = director.chat.entries[-1]
    await ready(director)
    other = (await at_once(director, engine)).entry
    assert [version.text for version in await director.chat.versions(first.id)] == [
        first.text,
        other.text,
    ]
    assert first.text != other.text
    # Only its last token, its end and the next header have not been read yet.
    [header] = await engine.count(["▄\n▀message\nMara:"])
    assert (await replied(director)).evaluated_tokens <= header + 2
    await read(director.delete(director.chat.entries[-1].id))
    await read(director.choose_version(director.chat.entries[-1].id, first.id))
    assert (await replied(director)).evaluated_tokens == 0


async def test_what_is_read_now_stays_read(open_director: OpenDirector, engine: Watched) -> None:
    director = await open_director(**{**AT_ONCE, "alternatives": 2})
    await director.chat.change_sampling(seed=None)
    for turn in range(3):
        await replied(director)
        await ready(director)
        assert engine.idle_ended.count("block_end") >= 2 * turn + 2
        assert (await replied(director)).evaluated_tokens == 0
        await read(director.delete(director.chat.entries[-1].id))


async def test_two_are_ready_and_more_are_written(
    open_director: OpenDirector, engine: Watched
) -> None:
    director = await open_director(**{**AT_ONCE, "alternatives": 2})
    await director.chat.change_sampling(seed=None)
    await replied(director)
    await ready(director)
    await at_once(director, engine)
    await at_once(director, engine)
    await ready(director)
    last = (await at_once(director, engine)).entry
    assert len(await director.chat.versions(last.id)) == 4


async def test_typing_does_not_lose_them_and_other_wishes_do(
    open_director: OpenDirector, engine: Watched
) -> None:
    director = await open_director(**AT_ONCE)
    await director.chat.change_sampling(seed=None)
    await replied(director)
    await ready(director)
    written = engine.idle_asked
    director.look_ahead("Some words that were ")
    await director.settled()
    await ready(director)
    assert engine.idle_asked == written
    await at_once(director, engine)
    await ready(director)
    await director.chat.change_sampling(temperature=1.2)
    asked = engine.asked
    await read(director.regenerate())
    assert engine.asked == asked + 1


async def test_a_turn_does_not_wait_for_them_and_is_not_changed(
    open_director: OpenDirector, engine: Watched
) -> None:
    director, plain = [
        await open_director(**{**AT_ONCE, "alternatives": alternatives, "max_tokens": 1000})
        for alternatives in (1, 0)
    ]
    for each in (director, plain):
        await replied(each)
        await each.chat.change_sampling(seed=None, temperature=15.0)
        each.look_ahead(speaker="Mara")
        if each is director:
            while not engine.idle_texts:
                await asyncio.sleep(0.001)
        else:
            await each.settled()
        await each.chat.change_sampling(temperature=0)
        assert (await replied(each)).evaluated_tokens <= 1
    assert engine.idle_asked == 1 and "block_end" not in engine.idle_ended
    assert [entry.text for entry in director.chat.entries] == [
        entry.text for entry in plain.chat.entries
    ]


@pytest.mark.parametrize(
    ("settings", "sampling"),
    [
        ({"alternatives": 1}, {}),
        ({"alternatives": 1}, {"seed": None, "temperature": 0}),
        ({"alternatives": 0}, {"seed": None}),
        ({}, {"seed": None}),
    ],
    ids=["fixed seed", "no chance in it", "not wanted", "auto on a CPU"],
)
async def test_none_is_written_in_vain(
    open_director: OpenDirector, engine: Watched, settings: dict[str, Any], sampling: dict[str, Any]
) -> None:
    director = await open_director(**settings)
    await director.chat.change_sampling(**sampling)
    await ready(director)
    await replied(director)
    await ready(director)
    assert engine.asked == 1 and not engine.idle_asked


async def test_there_are_none_to_what_the_user_said_or_what_was_not_written_now(
    open_director: OpenDirector, engine: Watched
) -> None:
    director = await open_director(**AT_ONCE)
    await director.chat.change_sampling(seed=None)
    await ready(director)
    await replied(director)
    await read(director.delete(director.chat.entries[-1].id))
    await ready(director)
    await read(director.say("The bell rang once."))
    await ready(director)
    assert not engine.idle_asked
