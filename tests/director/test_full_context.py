"""A context that is full: old messages go ahead of need, in big steps, and no reply ends by it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from typing import Literal, cast

import pytest
import pytest_asyncio

from shoritui.blockml import parse
from shoritui.cards import Card, Opening
from shoritui.demo import model_path
from shoritui.director import (
    Director,
    Disk,
    Event,
    Failed,
    Notice,
    TurnEnded,
    TurnStarted,
)
from shoritui.engine import Engine, EngineOptions, presets
from shoritui.settings import Settings
from shoritui.story import Library
from tests.director.conftest import ISOLDE, SCENE, YOU, Listening, OpenDirector, listening, read

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

N_CTX = 512
SMALL = replace(SCENE, tags=(), scenario="", characters=(ISOLDE, YOU), lore=(SCENE.lore[1],))
ENORMOUS = "▀message (length: enormous)\nIsolde:"
HEADER = 8
"""At least the tokens of a message's header from its hint on."""
SAID = (
    '"Tell me about the ferry and the fog, and about the lantern on the quay," Wren said.',
    "Wren waited.",
    '"I heard the bell again last night. Did you?"',
    "Wren wrote it all down, slowly, in the ferry's log: the hour, the water, and who had come.",
)


@pytest.fixture(scope="module", params=["exact", "shift"])
def mode(request: pytest.FixtureRequest) -> Literal["exact", "shift"]:
    return cast(Literal["exact", "shift"], request.param)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine(mode: Literal["exact", "shift"]) -> AsyncIterator[Engine]:
    """One for all tests of a mode; its cache holds what they left."""
    engine = Listening()
    await engine.open(model_path(), EngineOptions(n_ctx=N_CTX, context_mode=mode))
    yield engine
    await engine.close()


def failures(events: list[Event]) -> list[str]:
    told = [event.sentence for event in events if isinstance(event, Failed | Notice)]
    return [sentence for sentence in told if "repeat the same words" not in sentence]


def ended(events: list[Event]) -> TurnEnded:
    [end] = [event for event in events if isinstance(event, TurnEnded)]
    return end


async def ready(director: Director) -> None:
    director.look_ahead()
    await director.settled()


@pytest.mark.parametrize("idle", [True, False], ids=["with idle time", "without"])
async def test_no_reply_fails_because_of_the_context(
    open_director: OpenDirector, disk: Disk, engine: Engine, idle: bool
) -> None:
    director = await open_director(SMALL, max_tokens=200)
    dropped = []
    for turn in range(12):
        if idle:
            await ready(director)
        await read(director.say(SAID[turn % len(SAID)]))
        events = await read(director.reply())
        assert failures(events) == []
        assert director.figures.context_used <= N_CTX
        dropped.append(director.figures.dropped_messages)
    assert dropped == sorted(dropped) and dropped[-1] > 8
    chat = await disk.run(Library.chat, director.chat.id)
    again = await Director.open(disk, chat, engine, Settings(), presets(None)[0])
    assert again.chat.choices.first_kept == director.chat.choices.first_kept is not None
    text = "".join(segment.text for segment in await again.preview())
    assert "Isolde is a tide clerk" in text and len(parse(text + " x▄\n")) < len(again.chat.entries)


async def test_the_next_turn_need_not_wait_for_room(open_director: OpenDirector) -> None:
    """What is left to evaluate after a turn's own words is never a story read anew."""
    director = await open_director(SMALL, max_tokens=48)
    firsts = []
    for turn in range(12):
        text = SAID[turn % len(SAID)]
        await ready(director)
        await read(director.say(text))
        outcome = ended(await read(director.reply())).outcome
        [own] = await director.engine.count([text])
        assert outcome.evaluated_tokens <= own + 60
        firsts.append(director.chat.choices.first_kept)
    assert director.figures.dropped_messages
    assert len(set(firsts)) < len(firsts) - 3, "old messages go in big steps, not each turn"


async def test_a_reply_goes_on_past_the_contexts_end(open_director: OpenDirector) -> None:
    director = await open_director(SMALL, max_tokens=400)
    await director.chat.choose_length("enormous")
    documents = listening(director).documents
    went_on = 0
    for turn in range(8):
        await read(director.say(SAID[turn % len(SAID)]))
        documents.clear()
        events = await read(director.reply())
        assert failures(events) == []
        assert len([event for event in events if isinstance(event, TurnStarted)]) == 1
        end = ended(events)
        looped = any(isinstance(event, Notice) for event in events)  # Then its end was cut off.
        assert looped or end.entry.tokens == end.outcome.generated_tokens
        assert director.figures.context_used <= N_CTX
        for before, after in pairwise(documents):
            went_on += 1
            assert len(after) < len(before) + len(end.outcome.text)
            header, written = after.rpartition(ENORMOUS)[1:]
            assert header == ENORMOUS
            assert end.outcome.text.startswith(written) and len(written) > 20
            assert end.entry.text.startswith(written.lstrip(" ")[:20])
    assert went_on and director.figures.dropped_messages


async def test_one_message_too_long_gets_one_sentence(open_director: OpenDirector) -> None:
    director = await open_director(SMALL)
    await read(director.say("The fog came in over the quay. " * 80))
    [sentence] = failures(await read(director.reply()))
    assert sentence.startswith("The last message takes") and "shorten" in sentence
    await read(director.delete(director.chat.entries[-1].id))
    assert failures(await read(director.reply())) == []


async def test_a_long_message_that_fits_alone_is_read_alone(open_director: OpenDirector) -> None:
    director = await open_director(SMALL, max_tokens=16)
    await read(director.say("The fog came in over the quay. " * 40))
    assert failures(await read(director.reply())) == []
    assert director.figures.dropped_messages == 2


async def test_a_message_that_leaves_little_room_is_answered_too(
    open_director: OpenDirector,
) -> None:
    """Whatever the size of what was said last, as long as some words of a reply fit beside it."""
    director = await open_director(SMALL, max_tokens=200)
    for sentences in (30, 34, 38, 41):
        await read(director.say("The fog came in over the quay. " * sentences))
        events = await read(director.reply())
        assert failures(events) == [] and ended(events).entry.text


@pytest.mark.parametrize("length", [8, 32])
async def test_written_anew_after_room_was_made_it_reads_what_it_read_first(
    open_director: OpenDirector, mode: str, length: int
) -> None:
    scene: Card = replace(SMALL, messages=(Opening(speaker="Isolde", text="The tide was low."),))
    director = await open_director(scene, max_tokens=length)
    for turn in range(12):
        await read(director.say(SAID[turn % len(SAID)]))
        await ready(director)
        kept = director.chat.choices.first_kept
        first = ended(await read(director.reply())).outcome
        await ready(director)
        again = ended(await read(director.regenerate())).outcome
        if mode == "exact" or kept == director.chat.choices.first_kept:
            # In `shift` mode only one document is held: the one with the reply's earned hint.
            assert again.evaluated_tokens <= (0 if mode == "exact" else HEADER)
            assert again.prompt_tokens == first.prompt_tokens
    assert director.figures.dropped_messages
