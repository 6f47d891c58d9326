"""What is evaluated ahead of need: what is left to do then, and that nothing else changes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from shoritui.cards import Card
from shoritui.demo import model_path
from shoritui.director import Director, Failed, TurnEnded
from shoritui.engine import Engine, EngineOptions, Outcome
from tests.director.conftest import SCENE, Listening, OpenDirector, listening, read

WORDS = [
    "the",
    "lantern",
    "bell",
    "▀quay▄",
    "\tferry.",
    "“so”",
    "''what''",
    "_she_",
    "🙂",
    "no\x1b[2J",
]
LONG = (
    "Wren closed the ferry's log, set the pen across it, and looked at the three of them in turn. "
    '"Before any of you says another word," she said, "remember that the lantern was on the quay '
    "when the fog came in, that nobody has crossed since, and that I wrote down every soul who "
    "stepped off the boat. So I will ask only once. Which of you moved it, and why did you not "
    'tell the others? The water is rising, and I would like to be home before the ninth hour."'
)


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncIterator[Engine]:
    """One for all tests; its cache holds what they left."""
    engine = Listening()
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    yield engine
    await engine.close()


async def outcome(events: AsyncGenerator[Any]) -> Outcome:
    ended = [event for event in await read(events) if isinstance(event, TurnEnded)]
    return ended[-1].outcome


async def type_in(director: Director, text: str) -> None:
    """One key after the other."""
    for end in range(1, len(text) + 1):
        director.look_ahead(text[:end])
        await asyncio.sleep(0)
    await director.settled()


async def test_the_first_turn_and_every_other_begin_at_once(open_director: OpenDirector) -> None:
    director = await open_director()
    for _ in range(3):
        director.look_ahead()
        await director.settled()
        assert (await outcome(director.reply())).evaluated_tokens == 0


async def test_the_one_who_is_asked_to_speak_is_expected(open_director: OpenDirector) -> None:
    director = await open_director()
    director.look_ahead(speaker="Isolde")
    await director.settled()
    assert (await outcome(director.reply("Isolde"))).evaluated_tokens == 0


async def test_after_enter_only_the_last_word_and_the_next_header_are_left(
    open_director: OpenDirector,
) -> None:
    director = await open_director(max_tokens=8)
    [message, header, last_word] = await director.engine.count(
        [" " + LONG, "▄\n▀message (length: medium)\nMara:", LONG.rpartition(" ")[2]]
    )
    assert message > 100
    await type_in(director, LONG)
    await read(director.say(LONG))
    typed = await outcome(director.reply("Mara"))
    assert typed.evaluated_tokens <= header + last_word + 2
    director.look_ahead(LONG)
    await director.settled()
    director.look_ahead(LONG + " And")
    await asyncio.sleep(0)
    await read(director.say(LONG + " And"))
    hurried = await outcome(director.reply("Mara"))
    assert hurried.evaluated_tokens < message / 2
    backwards = " ".join(reversed(LONG.split()))
    await read(director.say(backwards))
    at_once = await outcome(director.reply("Mara"))
    assert at_once.evaluated_tokens > message


async def test_a_book_that_is_pasted_is_not_read_at_each_key(
    open_director: OpenDirector, monkeypatch: pytest.MonkeyPatch
) -> None:
    director = await open_director(max_tokens=8)
    counted: list[str] = []
    count = director.engine.count

    async def listening_count(texts: Sequence[str]) -> list[int]:
        counted.extend(texts)
        return await count(texts)

    monkeypatch.setattr(director.engine, "count", listening_count)
    director.look_ahead()
    await director.settled()
    book = LONG + "\n\n" + "the " * 5_000
    for key in "abc":
        director.look_ahead(book + key)
        await director.settled()
    assert not any("the the" in text for text in counted)
    assert (await outcome(director.reply())).evaluated_tokens == 0


async def test_after_a_pause_nothing_is_left_to_read(open_director: OpenDirector) -> None:
    director = await open_director(max_tokens=8)
    for text in ("So, Isolde: was it you?", LONG, "Well"):
        director.look_ahead(text)
        await director.settled()
        await read(director.say(text))
        assert (await outcome(director.reply())).evaluated_tokens == 0


@pytest.mark.parametrize("seed", range(6))
async def test_typing_ahead_changes_nothing_that_is_read(
    open_director: OpenDirector, seed: int
) -> None:
    chance = random.Random(seed)
    director, plain = await open_director(max_tokens=4), await open_director(max_tokens=4)
    for _ in range(3):
        text = ""
        for _ in range(chance.randrange(1, 40)):
            if text and chance.random() < 0.3:
                text = text[: chance.randrange(len(text))]
            else:
                text += chance.choice(WORDS) + chance.choice(["", " ", " ", "\n", "  "])
            director.look_ahead(text, chance.choice([None, "Mara"]))
            await asyncio.sleep(chance.choice([0, 0, 0.005]))
        for each in (director, plain):
            await read(each.say(text))
            await read(each.reply("Tobin"))
        typed, at_once = listening(director).documents[-2:]
        assert typed == at_once


async def test_a_reply_written_anew_reads_the_same_document(open_director: OpenDirector) -> None:
    scene: Card = replace(SCENE, messages=())
    director = await open_director(scene)
    for text in ("The bell rang once.", "And again."):
        await read(director.say(text))
        await read(director.reply("Mara"))
        assert (await outcome(director.regenerate())).evaluated_tokens == 0
        director.look_ahead()
        await director.settled()
        again = await outcome(director.regenerate())
        first, *others = listening(director).documents[-3:]
        assert others == [first, first]
        assert again.reused_tokens + 40 > again.prompt_tokens


async def test_what_idle_work_meets_is_nobodys_trouble(open_director: OpenDirector) -> None:
    director = await open_director(replace(SCENE, scenario="word " * 4000))
    director.look_ahead()
    await director.settled()
    director.look_ahead("Some words that are finished ")
    await director.settled()
    assert isinstance((await read(director.reply("Mara")))[-1], Failed)


async def test_a_turn_does_not_wait_for_idle_work(open_director: OpenDirector) -> None:
    director = await open_director(max_tokens=8)
    for _ in range(4):
        director.look_ahead()
        ended = (await read(director.reply()))[-1]
        assert isinstance(ended, TurnEnded) and ended.outcome.stop != "cancelled"
    director.look_ahead()
    director.rest()
    await director.settled()
    before = director.figures
    director.look_ahead()
    await director.settled()
    assert director.figures == before
