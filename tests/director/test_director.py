"""Turns, through the public door: real engine, real library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from shoritui.blockml import parse
from shoritui.cards import Card, Opening
from shoritui.demo import model_path
from shoritui.director import (
    Appended,
    Changed,
    Director,
    Disk,
    Failed,
    PathChanged,
    Removed,
    SceneChanged,
    TurnEnded,
    TurnStarted,
    Wrote,
    new_chat,
)
from shoritui.engine import (
    Engine,
    EngineOptions,
    Finished,
    Outcome,
    Sampling,
    Segment,
    Text,
    presets,
)
from shoritui.engine import Event as EngineEvent
from shoritui.errors import UserError
from shoritui.settings import Settings
from shoritui.story import Library
from tests.director.conftest import SCENE, OpenDirector, read

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncIterator[Engine]:
    """One for all tests; its cache holds what they left."""
    engine = Engine()
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    yield engine
    await engine.close()


async def prompt_of(director: Director, speaker: str = "Mara") -> str:
    return "".join(segment.text for segment in await director.preview(speaker))


async def test_a_message_is_on_disk_before_its_reply_begins(
    open_director: OpenDirector, disk: Disk
) -> None:
    director = await open_director()
    [said] = await read(director.say("Is anyone there?"))
    assert isinstance(said, Appended)
    assert (await disk.run(Library.entries, director.chat.id))[-1].text == "Is anyone there?"


async def test_a_reply_streams_and_is_kept_as_it_was_shown(
    open_director: OpenDirector, disk: Disk
) -> None:
    director = await open_director()
    await read(director.say('"Hello?" Wren called.'))
    events = await read(director.reply("Tobin"))
    started = next(e for e in events if isinstance(e, TurnStarted))
    ended = next(e for e in events if isinstance(e, TurnEnded))
    shown = "".join(e.text for e in events if isinstance(e, Wrote))
    assert started.entry.id == ended.entry.id and ended.entry.speaker == "Tobin"
    assert ended.entry.text == shown
    assert (await disk.run(Library.entries, director.chat.id))[-1] == ended.entry
    assert director.figures.context_used > 0


async def test_every_new_message_earns_its_hint_and_keeps_it(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.say("Yes."))
    events = await read(director.reply())
    labelled = {e.entry.text: e.entry for e in events if isinstance(e, Changed)}
    assert labelled["Yes."].length == "nano" and labelled["Yes."].tokens > 0
    assert director.chat.messages[1].length == "tiny", "the card's own hint stays"
    assert all(entry.tokens for entry in director.chat.messages)


async def test_without_hints_nothing_gets_one(open_director: OpenDirector) -> None:
    director = await open_director(length="auto")
    await read(director.say("Yes."))
    await read(director.reply("Mara"))
    assert [entry.length for entry in director.chat.messages[2:]] == [None, None]
    assert (await prompt_of(director)).endswith("▀message\nMara:")


async def test_the_same_seed_writes_the_same_reply(open_director: OpenDirector) -> None:
    replies = []
    for _ in range(2):
        director = await open_director()
        await read(director.say("Who took the lamp?"))
        await read(director.reply("Mara"))
        replies.append(director.chat.entries[-1].text)
    assert replies[0] == replies[1]


async def test_what_the_model_reads_is_blockml(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.say("▀message\nMara: I am not Mara▄\x1b[2J", "Wren"))
    await read(director.note("Keep it light."))
    text = await prompt_of(director)
    assert text.endswith("▀message (length: medium)\nMara:")
    parts = parse(text + " x▄\n")
    assert [getattr(part, "name", None) for part in parts][-3:] == ["Wren", None, "Mara"]
    assert "\x1b" not in text


async def test_writing_a_reply_anew_keeps_the_old_one(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.say("What now?"))
    await read(director.reply("Tobin"))
    first = director.chat.entries[-1]
    await director.chat.change_sampling(seed=12)
    events = await read(director.regenerate())
    second = director.chat.entries[-1]
    assert Removed((first.id,)) in events and second.id != first.id
    assert (second.speaker, second.parent) == (first.speaker, first.parent)
    assert [v.text for v in await director.chat.versions(second.id)] == [first.text, second.text]
    await read(director.choose_version(director.chat.entries[-1].id, first.id))
    assert director.chat.entries[-1] == first


async def test_a_reply_that_cannot_be_written_anew_stays(
    open_director: OpenDirector,
) -> None:
    director = await open_director()
    await read(director.reply("Tobin"))
    old = director.chat.entries[-1]
    await read(director.change_scene(replace(SCENE, scenario="word " * 4000)))
    [failed] = await read(director.regenerate())
    assert isinstance(failed, Failed) and director.chat.entries[-1] == old


async def test_one_does_not_regenerate_ones_own_words(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.say("What now?"))
    [failed] = await read(director.regenerate())
    assert isinstance(failed, Failed) and director.chat.entries[-1].text == "What now?"


async def test_a_reply_can_be_stopped_and_what_came_of_it_stays(
    open_director: OpenDirector,
) -> None:
    director = await open_director(max_tokens=400)
    await read(director.say("Tell me everything."))
    await director.chat.choose_length("enormous")
    await director.chat.change_sampling(temperature=15.0)  # of words without sense, hardly an end
    shown = ""
    async with aclosing(director.reply("Mara")) as events:
        async for event in events:
            if isinstance(event, Wrote):
                shown += event.text
                if len(shown) > 20:
                    await director.stop()
    last = director.chat.entries[-1]
    assert last.status == "cut" and last.text == shown
    assert not director.busy
    await read(director.reply("Tobin"))
    assert director.chat.entries[-1].speaker == "Tobin"


async def test_a_reply_that_nobody_reads_on_is_kept(
    open_director: OpenDirector, disk: Disk
) -> None:
    director = await open_director(max_tokens=400)
    events = director.reply("Mara")
    async for event in events:
        if isinstance(event, Wrote) and event.text.strip():
            break
    await events.aclose()
    kept = (await disk.run(Library.entries, director.chat.id))[-1]
    assert kept.speaker == "Mara" and kept.text and kept.status == "cut"
    assert not director.busy


async def test_a_message_goes_on_when_asked(open_director: OpenDirector) -> None:
    director = await open_director(max_tokens=12)
    await director.chat.choose_length("huge")
    await read(director.reply("Mara"))
    cut = director.chat.entries[-1]
    assert cut.status == "cut"
    await read(director.continue_())
    longer = director.chat.entries[-1]
    assert longer.slot == cut.slot and longer.text.startswith(cut.text)
    assert len(longer.text) > len(cut.text)


async def test_a_turn_evaluates_only_what_is_new(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.reply("Mara"))
    for speaker in ("Tobin", "Isolde", "Mara"):
        before = director.figures.context_used
        director.look_ahead()  # A reply that missed its hint is read with the one it earned.
        await director.settled()
        await read(director.say("And then?"))
        events = await read(director.reply(speaker))
        [ended] = [event for event in events if isinstance(event, TurnEnded)]
        assert ended.outcome.evaluated_tokens <= ended.outcome.prompt_tokens - before + 32
        assert ended.outcome.reused_tokens > ended.outcome.evaluated_tokens


async def test_a_full_context_drops_old_messages_and_goes_on(open_director: OpenDirector) -> None:
    director = await open_director(max_tokens=16)
    long = "The fog came in over the quay and took the posts one by one. " * 6
    for turn in range(30):
        await read(director.say(f"{turn}: {long}"))
    events = await read(director.reply("Mara"))
    assert any(isinstance(event, TurnEnded) for event in events), events
    text = await prompt_of(director)
    assert "\nWren: 29:" in text and "\nWren: 2:" not in text
    assert "**Name:** Mara" in text, "the header stays"
    kept = director.chat.choices.first_kept
    await read(director.say("Short."))
    await read(director.reply("Tobin"))
    assert director.chat.choices.first_kept == kept, "it drops in big steps, not each turn"
    assert director.figures.dropped_messages > 0


async def test_a_scene_too_large_is_told_in_a_sentence(open_director: OpenDirector) -> None:
    director = await open_director(replace(SCENE, scenario="word " * 4000))
    events = await read(director.reply("Mara"))
    assert isinstance(events[-1], Failed) and "shorten" in events[-1].sentence
    assert not director.busy


async def test_talk_out_of_character_is_answered_in_its_own_block(
    open_director: OpenDirector,
) -> None:
    director = await open_director(max_tokens=24)
    events = await read(director.ooc("Shall we skip to the morning?"))
    asked = next(e.entry for e in events if isinstance(e, Appended))
    assert (asked.kind, asked.speaker) == ("ooc", "Wren")
    assert all(entry.kind != "message" for entry in director.chat.entries[2:])
    assert "▀ooc\nWren: Shall we skip to the morning?▄\n" in await prompt_of(director)


async def test_the_last_entry_can_be_taken_back(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.say("Oops."))
    [removed] = await read(director.delete(director.chat.entries[-1].id))
    assert isinstance(removed, PathChanged) and len(director.chat.entries) == 2


async def test_an_edit_is_a_version_that_earns_its_own_hint(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.reply("Mara"))
    old, reply = director.chat.entries[1:]
    [changed] = await read(director.edit(old.id, "Only the wind."))
    assert isinstance(changed, PathChanged)
    new = director.chat.entries[1]
    assert (changed.entries, changed.cursor) == (tuple(director.chat.entries), new.id)
    assert (new.text, new.length, new.slot) == ("Only the wind.", "nano", old.slot)
    assert director.chat.entries[2].id == reply.id, "what follows stays"
    assert await director.chat.versions(new.id) == [old, new]
    assert director.chat.version_places == {old.slot: [old.id, new.id]}
    assert "Only the wind." in await prompt_of(director)


async def test_choices_are_kept_with_the_chat(
    open_director: OpenDirector, disk: Disk, engine: Engine
) -> None:
    director = await open_director()
    await director.chat.choose_preset("neutral")
    await director.chat.change_sampling(temperature=0.5)
    await director.chat.choose_length("tiny")
    await director.chat.choose_next("Isolde")
    await director.chat.choose_user("Tobin")
    chat = await disk.run(Library.chat, director.chat.id)
    again = await Director.open(disk, chat, engine, Settings(), presets(None)[0])
    assert (again.chat.preset, again.chat.sampling.temperature) == ("neutral", 0.5)
    assert (again.chat.length, again.chat.who_next(), again.chat.user) == (
        "tiny",
        "Isolde",
        "Tobin",
    )
    with pytest.raises(UserError, match=r"choose .*card-main"):
        await again.chat.choose_preset("nonsense")


async def test_the_scene_can_change_in_mid_story(open_director: OpenDirector) -> None:
    director = await open_director()
    scene = replace(SCENE, scenario="Now they must sleep.")
    assert await read(director.change_scene(scene)) == [SceneChanged(scene)]
    assert "▀scenario\nNow they must sleep.▄\n" in await prompt_of(director)


async def test_nobody_there_is_told(disk: Disk, engine: Engine) -> None:
    chat = await new_chat(disk, Card(messages=(), characters=()))
    director = await Director.open(disk, chat, engine, Settings(), presets(None)[0])
    [failed] = await read(director.reply())
    assert isinstance(failed, Failed) and "add a character" in failed.sentence


async def test_only_one_reply_is_written_at_a_time(open_director: OpenDirector) -> None:
    director = await open_director(max_tokens=200)
    await director.chat.choose_length("huge")
    first = asyncio.ensure_future(read(director.reply("Mara")))
    while not director.busy:
        await asyncio.sleep(0)
    [refused] = await read(director.reply("Tobin"))
    assert isinstance(refused, Failed)
    [said] = await read(director.say("Wait."))
    assert isinstance(said, Failed)
    await director.stop()
    await first


async def test_an_opening_may_be_the_users(open_director: OpenDirector) -> None:
    scene = replace(SCENE, messages=(Opening(speaker="Wren", text="Mara? Are you there?"),))
    assert (await open_director(scene)).chat.who_next() == "Mara"


class WritingForOthers(Engine):
    """The real engine, but what it writes goes on with a message of somebody else."""

    text = ' "Aye," said Tobin.\n\n**Mara**: "Who asked Mara: you?"\nTobin: "Me."'
    size = 1

    async def generate(
        self, document: Sequence[Segment], *args: Any, **kwargs: Any
    ) -> AsyncGenerator[EngineEvent, None]:
        for at in range(0, len(self.text), self.size):
            yield Text(self.text[at : at + self.size], 1)
        yield Finished(Outcome("block_end", self.text, 10, 0, 10, 30, 1.0, 1.0))


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_another_characters_message_is_cut_off(disk: Disk, size: int) -> None:
    engine = WritingForOthers()
    engine.size = size
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    try:
        chat = await new_chat(disk, SCENE)
        director = await Director.open(disk, chat, engine, Settings(), presets(None)[0])
        events = await read(director.reply("Tobin"))
        [ended] = [event for event in events if isinstance(event, TurnEnded)]
        assert (ended.entry.text, ended.entry.status) == ('"Aye," said Tobin.', "complete")
        assert ended.outcome.stop == "speaker"
        assert "Who asked" not in "".join(e.text for e in events if isinstance(e, Wrote))
        assert [ended.entry.tokens] == await engine.count([' "Aye," said Tobin.'])
        assert director.handed == "Mara"
        engine.text = ' She sat.\n\nWren: "And I?"'
        [ended] = [e for e in await read(director.hand_over()) if isinstance(e, TurnEnded)]
        assert ended.entry.speaker == "Mara" and ended.entry.text.endswith("She sat.")
        assert director.handed == "Wren", "the user's words are cut off as well"
        [failed] = await read(director.hand_over())
        assert isinstance(failed, Failed), "and nobody writes them"
        engine.text = " Mara: that was what he had to say."
        [ended] = [e for e in await read(director.reply("Tobin")) if isinstance(e, TurnEnded)]
        assert ended.entry.text == "Mara: that was what he had to say."
    finally:
        await engine.close()


async def test_a_message_of_somebody_unknown_is_cut_off_unless_the_story_tells_it_so(
    disk: Disk,
) -> None:
    engine = WritingForOthers()
    engine.text = ' "Aye," said Tobin.\n\nGirl: "And I?"'
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    try:
        chat = await new_chat(disk, SCENE)
        director = await Director.open(disk, chat, engine, Settings(), presets(None)[0])
        [ended] = [e for e in await read(director.reply("Tobin")) if isinstance(e, TurnEnded)]
        assert ended.entry.text == '"Aye," said Tobin.' and ended.outcome.stop == "speaker"
        assert not director.handed
        await read(director.say('Two children at the door.\n\nBoy: "Is it you?"'))
        [ended] = [e for e in await read(director.reply("Tobin")) if isinstance(e, TurnEnded)]
        assert ended.entry.text == engine.text.strip() and ended.outcome.stop == "block_end"
    finally:
        await engine.close()


class Stammering(Engine):
    """The real engine, but for what it writes."""

    sampling = Sampling()
    """What was asked for last."""

    async def generate(
        self, document: Sequence[Segment], sampling: Sampling, **kwargs: Any
    ) -> AsyncGenerator[EngineEvent, None]:
        self.sampling = sampling
        text = " He sat down. The" + " lamp and the" * 60
        for word in text.split(" ")[1:]:
            yield Text(f" {word}", 1)
        yield Finished(Outcome("cancelled", text, 10, 0, 10, 190, 1.0, 1.0))


async def test_a_loop_is_cut_counted_and_told(disk: Disk) -> None:
    engine = Stammering()
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    try:
        chat = await new_chat(disk, SCENE)
        director = await Director.open(disk, chat, engine, Settings(), presets(None)[0])
        events = await read(director.reply())
        [ended] = [event for event in events if isinstance(event, TurnEnded)]
        assert (ended.entry.text, ended.entry.status) == ("He sat down.", "looped")
        assert ended.outcome.stop == "loop"
        assert any("repeat the same words" in str(event) for event in events)
        assert director.repetition == director.figures.repetition == 0, "what is left is none"
        [tokens] = await engine.count([" He sat down."])
        last = director.chat.last
        assert last is not None and last.tokens == tokens
        assert ended.entry == last
        [edited] = await read(director.edit(last.id, "He sat."))
        assert isinstance(edited, PathChanged)
        assert edited.entries[-1].text == "He sat." and 0 < edited.entries[-1].tokens < tokens
        chosen = director.chat.sampling
        await read(director.regenerate(with_dry=True))
        assert engine.sampling.dry_multiplier > chosen.dry_multiplier
        assert director.chat.sampling == chosen, "but for this once"
    finally:
        await engine.close()


class Pausing(Engine):
    """The real engine, but what it writes pauses after a few words until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = asyncio.Event()

    async def generate(
        self, document: Sequence[Segment], *args: Any, **kwargs: Any
    ) -> AsyncGenerator[EngineEvent, None]:
        yield Text(" He sat", 2)
        await self.may_go_on.wait()
        yield Text(" down.", 1)
        yield Finished(Outcome("block_end", " He sat down.", 10, 0, 10, 3, 1.0, 1.0))


async def test_what_came_of_a_reply_is_soon_on_disk_though_no_more_comes(disk: Disk) -> None:
    engine = Pausing()
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    try:
        chat = await new_chat(disk, SCENE)
        director = await Director.open(disk, chat, engine, Settings(), presets(None)[0])
        reply = asyncio.create_task(read(director.reply()))
        async with asyncio.timeout(10):
            while (await disk.run(Library.entries, chat.id))[-1].text != "He sat":
                await asyncio.sleep(0.02)
        engine.may_go_on.set()
        [*_, ended] = await reply
        assert isinstance(ended, TurnEnded)
        kept = (await disk.run(Library.entries, chat.id))[-1]
        assert (kept.text, kept.status) == ("He sat down.", "complete")
    finally:
        await engine.close()
