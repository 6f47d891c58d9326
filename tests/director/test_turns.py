"""Turns that nobody was asked to take: the model decides, you choose, scenes play themselves."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from shoritui.cards import Card, Character, Lore
from shoritui.demo import model_path
from shoritui.director import Director, Disk, Failed, Notice, TurnEnded, new_chat
from shoritui.engine import Engine, EngineOptions, Finished, Outcome, Segment, Text, presets
from shoritui.engine import Event as EngineEvent
from shoritui.errors import UserError
from shoritui.settings import Settings
from shoritui.story import Lorebook
from tests.director.conftest import SCENE, read

pytestmark = pytest.mark.asyncio(loop_scope="module")
CROWD = Card(
    title="Eight at a table",
    characters=tuple(
        Character(name=name, user=name == "Wren")
        for name in ("Mara", "Tobin", "Isolde", "Cadmus", "Brindle", "Sable", "Ned", "Wren")
    ),
)


class Brief(Engine):
    """The real engine, but that it writes the same few words whoever speaks."""

    text = " So it was."

    async def generate(
        self, document: Sequence[Segment], *args: Any, **kwargs: Any
    ) -> AsyncGenerator[EngineEvent, None]:
        yield Text(self.text, 4)
        yield Finished(Outcome("block_end", self.text, 10, 0, 10, 4, 1.0, 1.0))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncIterator[Brief]:
    engine = Brief()
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    yield engine
    await engine.close()


async def opened(disk: Disk, engine: Engine, scene: Card = SCENE, **settings: Any) -> Director:
    chat = await new_chat(disk, scene)
    return await Director.open(disk, chat, engine, Settings(**settings), presets(None)[0])


def speakers(director: Director) -> list[str]:
    return [entry.speaker for entry in director.chat.messages]


async def test_choosing_among_eight_evaluates_nothing_more(disk: Disk, engine: Brief) -> None:
    director = await opened(disk, engine, CROWD, turns="model")
    await read(director.say("The door blew open."))
    document = await director._odds.document()
    await engine.prefill(document)
    before = await engine.stats()
    [ended] = [e for e in await read(director.reply()) if isinstance(e, TurnEnded)]
    after = await engine.stats()
    first_tokens = {(await engine.tokens([Segment(c.name)]))[1] for c in CROWD.characters}
    assert after.decodes - before.decodes <= (0 if len(first_tokens) == 8 else 1)
    assert ended.entry.speaker in director.chat.cast and ended.entry.speaker != "Wren"


async def test_after_each_entry_the_model_decides_anew(disk: Disk, engine: Brief) -> None:
    director = await opened(disk, engine, turns="model")
    calls: list[str] = []
    director.on_odds = lambda: calls.append(director.chat.who_next())
    director.look_ahead()
    await director.settled()
    odds = director.chat.odds
    assert odds is not None and sorted(odds) == ["Isolde", "Mara", "Tobin", "Wren"]
    assert sum(odds.values()) == pytest.approx(1) and len(calls) == 1
    [expected] = calls
    assert expected == max((n for n in odds if n not in ("Tobin", "Wren")), key=lambda n: odds[n])
    await read(director.reply())
    assert speakers(director)[-1] == expected and director.chat.odds is None
    director.look_ahead()
    await director.settled()
    assert len(calls) == 2


async def test_the_models_choice_is_overruled_for_one_turn(disk: Disk, engine: Brief) -> None:
    director = await opened(disk, engine, turns="model")
    director.look_ahead()
    await director.settled()
    chat, seen = director.chat, []
    for _ in range(2):
        seen.append(chat.who_next())
        chat.pick(chat.others_in_line(chat.who_next())[0])
    assert len({*seen, chat.who_next()}) == 3, "all three have been offered"
    picked = chat.who_next()
    await read(director.reply())
    assert speakers(director)[-1] == picked and chat.picked is None


async def test_a_scene_plays_itself_until_it_is_the_users_turn(disk: Disk, engine: Brief) -> None:
    director = await opened(disk, engine, turns="in-turn")
    events = await read(director.auto_play(20))
    assert speakers(director) == ["Mara", "Tobin", "Isolde"]
    assert events[-1] == Notice("It is your turn, Wren.")
    assert not director.is_auto and director.turns_left == 0
    director = await opened(disk, engine, turns="natural")
    await read(director.auto_play(5))
    assert len(speakers(director)) == 7 and "Wren" not in speakers(director)


async def test_a_scene_that_plays_itself_is_paused_and_goes_on(disk: Disk, engine: Brief) -> None:
    director = await opened(disk, engine)
    async for event in director.auto_play(6):
        if isinstance(event, TurnEnded) and len(speakers(director)) == 4:
            director.pause()
    assert len(speakers(director)) == 4 and director.turns_left == 4
    await read(director.auto_play(director.turns_left))
    assert len(speakers(director)) == 8 and director.turns_left == 0
    engine.text = ""
    try:
        await read(director.auto_play(6))
        assert len(speakers(director)) == 8, "where nothing is written, it ends"
    finally:
        engine.text = Brief.text


async def test_a_turn_that_the_model_began_in_another_ones_reply_goes_on(
    disk: Disk, engine: Brief
) -> None:
    director = await opened(disk, engine, turns="in-turn")
    engine.text = " So it was.\nIsolde: Isolde"
    try:
        await read(director.reply("Tobin"))
    finally:
        engine.text = Brief.text
    await read(director.auto_play(1))
    last = director.chat.entries[-1]
    assert (last.speaker, last.text) == ("Isolde", "Isolde So it was.")


async def test_nobody_speaks_unasked_where_the_user_chooses(disk: Disk, engine: Brief) -> None:
    director = await opened(disk, engine, turns="choose")
    assert director.chat.asks_for_speaker and director.chat.who_next() == ""
    [failed] = await read(director.reply())
    assert failed == Failed("Nobody was asked to answer: choose who speaks.")
    await director.chat.choose_next("Isolde")
    await read(director.reply())
    assert speakers(director)[-1] == "Isolde"


async def test_strategies_are_kept_with_the_chat(disk: Disk, engine: Brief) -> None:
    director = await opened(disk, engine)
    await director.chat.choose_next("Isolde")
    await director.chat.choose_turns("pooled")
    await director.chat.reload()
    assert director.chat.strategy == "pooled" and director.chat.next_speaker is None


async def test_where_the_model_cannot_be_asked_the_cast_takes_turns(
    disk: Disk, engine: Brief, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def score(*_: Any) -> list[float]:
        raise UserError("The server tells no probabilities.")

    monkeypatch.setattr(engine, "score", score)
    director = await opened(disk, engine, turns="model")
    events = await read(director.reply())
    assert Notice("The server tells no probabilities.") in events
    assert speakers(director)[-1] == "Isolde"


async def test_a_book_of_lore_is_made_beside_the_event_loop(
    disk: Disk, engine: Brief, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers: list[threading.Thread] = []

    def made(book: Lorebook, lore: Sequence[Lore], make: Any = Lorebook.__init__) -> None:
        makers.append(threading.current_thread())
        make(book, lore)

    monkeypatch.setattr(Lorebook, "__init__", made)
    scene = replace(SCENE, lore=(*SCENE.lore, Lore(name="a", text="b")))
    director = await opened(disk, engine, scene)
    await director.preview()
    await director.lore("The bell!")
    assert len(makers) == 1 and makers[0] is not threading.main_thread()
