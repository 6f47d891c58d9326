"""Turns, through the public door: real engine, real library."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from shoritui.blockml import parse
from shoritui.cards import Card, Opening
from shoritui.director import (
    Appended,
    Changed,
    Director,
    Disk,
    Failed,
    Removed,
    SceneChanged,
    TurnEnded,
    TurnStarted,
    Wrote,
    new_chat,
)
from shoritui.engine import Engine, presets
from shoritui.errors import UserError
from shoritui.settings import Settings
from shoritui.story import Library
from tests.director.conftest import SCENE, OpenDirector, read


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
    assert director.messages[1].length == "tiny", "the card's own hint stays"
    assert all(entry.tokens for entry in director.messages)


async def test_without_hints_nothing_gets_one(open_director: OpenDirector) -> None:
    director = await open_director(length="auto")
    await read(director.say("Yes."))
    await read(director.reply("Mara"))
    assert [entry.length for entry in director.messages[2:]] == [None, None]
    assert (await prompt_of(director)).endswith("▀message\nMara:")


async def test_the_same_seed_writes_the_same_reply(open_director: OpenDirector) -> None:
    replies = []
    for _ in range(2):
        director = await open_director()
        await read(director.say("Who took the lamp?"))
        await read(director.reply("Mara"))
        replies.append(director.entries[-1].text)
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
    first = director.entries[-1]
    await director.change_sampling(seed=12)
    events = await read(director.regenerate())
    second = director.entries[-1]
    assert Removed((first.id,)) in events and second.id != first.id
    assert (second.speaker, second.parent) == (first.speaker, first.parent)
    assert [v.text for v in await director.alternatives(second.id)] == [first.text, second.text]
    await read(director.choose(first.id))
    assert director.entries[-1] == first


async def test_one_does_not_regenerate_ones_own_words(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.say("What now?"))
    [failed] = await read(director.regenerate())
    assert isinstance(failed, Failed) and director.entries[-1].text == "What now?"


async def test_a_reply_can_be_stopped_and_what_came_of_it_stays(
    open_director: OpenDirector,
) -> None:
    director = await open_director(max_tokens=400)
    await read(director.say("Tell me everything."))
    await director.choose_length("enormous")
    shown = ""
    async with aclosing(director.reply("Mara")) as events:
        async for event in events:
            if isinstance(event, Wrote):
                shown += event.text
                if len(shown) > 20:
                    await director.stop()
    last = director.entries[-1]
    assert last.status == "cut" and last.text == shown
    assert not director.busy
    await read(director.reply("Tobin"))
    assert director.entries[-1].speaker == "Tobin"


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
    await director.choose_length("huge")
    await read(director.reply("Mara"))
    cut = director.entries[-1]
    assert cut.status == "cut"
    await read(director.continue_())
    longer = director.entries[-1]
    assert longer.id == cut.id and longer.text.startswith(cut.text)
    assert len(longer.text) > len(cut.text)


async def test_a_turn_evaluates_only_what_is_new(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.reply("Mara"))
    for speaker in ("Tobin", "Isolde", "Mara"):
        before = director.figures.context_used
        await read(director.say("And then?"))
        ended = (await read(director.reply(speaker)))[-1]
        assert isinstance(ended, TurnEnded)
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
    kept = director.choices.first_kept
    await read(director.say("Short."))
    await read(director.reply("Tobin"))
    assert director.choices.first_kept == kept, "it drops in big steps, not each turn"
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
    assert all(entry.kind != "message" for entry in director.entries[2:])
    assert "▀ooc\nWren: Shall we skip to the morning?▄\n" in await prompt_of(director)


async def test_the_last_entry_can_be_taken_back(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.say("Oops."))
    [removed] = await read(director.delete_last())
    assert isinstance(removed, Removed) and len(director.entries) == 2


async def test_an_edit_changes_the_text_and_not_the_hint(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.reply("Mara"))
    entry = director.entries[1]
    [changed] = await read(director.edit(entry.id, "Only the wind, Tobin said."))
    assert isinstance(changed, Changed) and changed.entry.length == "tiny"
    assert "Only the wind, Tobin said." in await prompt_of(director)


async def test_choices_are_kept_with_the_chat(
    open_director: OpenDirector, disk: Disk, engine: Engine
) -> None:
    director = await open_director()
    await director.choose_preset("neutral")
    await director.change_sampling(temperature=0.5)
    await director.choose_length("tiny")
    await director.choose_next("Isolde")
    await director.choose_user("Tobin")
    chat = await disk.run(Library.chat, director.chat.id)
    again = await Director.open(disk, chat, engine, Settings(), presets(None)[0])
    assert (again.preset, again.sampling.temperature) == ("neutral", 0.5)
    assert (again.length, again.who_next(), again.user) == ("tiny", "Isolde", "Tobin")
    with pytest.raises(UserError, match=r"choose .*card-main"):
        await again.choose_preset("nonsense")


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
    await director.choose_length("huge")
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
    assert (await open_director(scene)).who_next() == "Mara"
