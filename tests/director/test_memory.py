"""Summaries stand for what leaves the context, and pinned messages never do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from shoritui.cards import Opening
from shoritui.demo import model_path
from shoritui.director import (
    Director,
    Disk,
    Event,
    Failed,
    Leaving,
    Summarising,
    SummaryDraft,
    Trimmed,
)
from shoritui.engine import Engine, EngineOptions, presets
from shoritui.interop.blockml_text import blockml_text
from shoritui.settings import Settings
from shoritui.story import Details, Draft, Library, NoteRule, is_summary
from tests.director.conftest import ISOLDE, SCENE, YOU, Listening, OpenDirector, listening, read

pytestmark = pytest.mark.asyncio(loop_scope="module")

N_CTX = 640
LINES = (
    '"Tell me about the ferry and the fog, and about the lantern on the quay," Wren said.',
    "Wren wrote it all down, slowly, in the ferry's log: the hour, the water, and who had come.",
    '"I heard the bell again last night. Did you hear it too?" asked Wren, and waited a while.',
)
STORY = replace(
    SCENE,
    tags=(),
    scenario="",
    characters=(ISOLDE, YOU),
    lore=(),
    messages=tuple(
        Opening(speaker=("Wren", "Isolde")[at % 2], text=f"{at}: {LINES[at % 3]}")
        for at in range(5)
    ),
)
TOLD = "Wren asked for the lantern, and Isolde promised it."


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncIterator[Engine]:
    """One for all tests; its cache holds what they left."""
    engine = Listening()
    await engine.open(model_path(), EngineOptions(n_ctx=N_CTX, context_mode="exact"))
    yield engine
    await engine.close()


async def prompt(director: Director) -> str:
    return "".join(segment.text for segment in await director.preview("Isolde"))


def heard_by(director: Director) -> list[Event]:
    news: list[Event] = []
    director.on_news = news.append
    return news


async def settled(director: Director) -> None:
    director.look_ahead()
    await director.settled()


async def said(director: Director) -> None:
    at = len(director.chat.entries)
    await read(director.say(f"{at}: {LINES[at % 3]}", ("Wren", "Isolde")[at % 2]))


async def summarised(director: Director, last: int | None = None, text: str = TOLD) -> None:
    await read(director.summarise(last))
    assert [
        each for each in await read(director.use_summary(text)) if isinstance(each, Failed)
    ] == []


async def test_a_summary_is_offered_written_edited_and_read_in_place_of_messages(
    open_director: OpenDirector, disk: Disk, engine: Engine
) -> None:
    director = await open_director(STORY)
    news = heard_by(director)
    while not news:
        await said(director)
        await settled(director)
    await settled(director)
    [offer] = [each for each in news if isinstance(each, Leaving)]
    before = (await engine.stats()).tokens
    events = await read(director.summarise())
    draft = director.memory.draft
    assert draft is not None and draft.text and draft.whole and draft.count == offer.count
    written = [each.tokens for each in events if isinstance(each, Summarising)]
    assert written == sorted(written)
    request = (await engine.stats()).tokens - before - written[-1]
    assert request < 120, "what is summarised was read already: only the request is evaluated"
    assert "▀lore" not in await prompt(director), "nothing is used that nobody has seen"

    chat = await disk.run(Library.chat, director.chat.id)  # as after a kill
    again = await Director.open(disk, chat, engine, Settings(), presets(None)[0])
    assert again.memory.draft == draft
    assert [
        each for each in await read(director.use_summary(TOLD)) if isinstance(each, Failed)
    ] == []
    text = await prompt(director)
    assert f"[/INST]\n▀lore\n{TOLD}▄\n▀message" in text and f"Wren: 0: {LINES[0]}" not in text
    entry = director.chat.entries[draft.count]
    assert entry.details.span == (director.chat.entries[0].slot, draft.span[1])
    assert director.chat.first_read == entry.id and director.memory.draft is None
    await settled(director)
    assert not any(isinstance(each, Trimmed) for each in news)

    await read(director.edit(entry.id, "They bargained."))
    assert "▀lore\nThey bargained.▄" in await prompt(director)
    whole = await disk.run(Library.whole_chat, director.chat.id)
    assert "bargained" not in blockml_text(whole) and f"Wren: 0: {LINES[0]}" in blockml_text(whole)
    for _ in range(2):
        await read(director.undo())
    assert f"Wren: 0: {LINES[0]}" in await prompt(director) and director.chat.first_read is None


async def stopped_midway(director: Director, last: int) -> SummaryDraft:
    """A summary that was stopped while it was written; the model may have ended it just then."""
    for _ in range(20):
        async for event in director.summarise(last):
            if isinstance(event, Summarising) and event.tokens:
                await director.stop()
        draft = director.memory.draft
        assert draft is not None and draft.text
        if not draft.whole:
            return draft
        await director.chat.keep_summary(None)
    raise AssertionError("no summary could be stopped")


async def test_what_was_stopped_goes_on_and_a_second_summary_holds_the_first(
    open_director: OpenDirector,
) -> None:
    director = await open_director(STORY)
    for _ in range(3):
        await said(director)
    third, sixth = director.chat.entries[2].id, director.chat.entries[5].id
    begun = await stopped_midway(director, third)
    await read(director.summarise(third))
    ended = director.memory.draft
    assert ended is not None and ended.text.startswith(begun.text.rstrip()) and ended.whole
    await read(director.use_summary(TOLD))
    [failed] = await read(director.summarise(third))
    assert isinstance(failed, Failed)
    await summarised(director, sixth, "They spoke of the bell.")
    first, second = (each for each in director.chat.entries if each.kind == "lore")
    assert second.details.span is not None and first.details.span is not None
    assert second.details.span[0] == first.details.span[0]
    text = await prompt(director)
    assert TOLD not in text and "bell.▄\n▀message (length: tiny)\nWren: 6" in text
    await read(director.hide(second.id, True))
    text = await prompt(director)
    assert TOLD in text and f"Isolde: 3: {LINES[0]}" in text


async def test_by_itself_a_summary_is_written_in_idle_time_and_no_turn_waits(
    open_director: OpenDirector, engine: Engine
) -> None:
    director = await open_director(STORY, memory="auto")
    news = heard_by(director)
    for turn in range(5):
        await settled(director)
        await read(director.say(LINES[turn % 3]))
        await read(director.reply("Isolde"))
        [own] = await engine.count([LINES[turn % 3]])
        assert director.figures.evaluated <= own + 60
        assert director.figures.context_used <= N_CTX
    summaries = [each for each in director.chat.entries if each.kind == "lore"]
    assert summaries and (await prompt(director)).count("▀lore") == 1
    assert not any(isinstance(each, Trimmed) for each in news)
    await read(director.undo())
    assert await director.chat.next_undo_redo() != (None, None)
    count = len(director.chat.entries)
    await settled(director)
    assert len(director.chat.entries) == count, "what can be done again is not lost by itself"


async def test_a_scene_that_plays_itself_stops_for_no_summary(open_director: OpenDirector) -> None:
    director = await open_director(STORY, memory="auto", max_tokens=32)
    news = heard_by(director)
    await director.chat.choose_next("Isolde")
    events = await read(director.auto_play(6))
    assert any(isinstance(each, Summarising) for each in events)
    assert director.turns_left == 0 and not any(isinstance(each, Trimmed) for each in news)
    assert any(map(is_summary, director.chat.entries))


async def test_what_leaves_without_a_summary_is_told(open_director: OpenDirector) -> None:
    director = await open_director(STORY, memory="off")
    news = heard_by(director)
    for turn in range(5):
        await settled(director)
        await read(director.say(LINES[turn % 3]))
        await read(director.reply("Isolde"))
    assert (
        sum(each.count for each in news if isinstance(each, Trimmed)) == director.chat.first_place
    )
    assert director.chat.first_place and not any(isinstance(each, Leaving) for each in news)
    await summarised(director)
    assert f"▀lore\n{TOLD}▄" in await prompt(director)
    assert director.chat.entries[director.chat.first_place].kind == "lore"


async def test_pinned_messages_are_read_in_order_however_old_they_are(
    open_director: OpenDirector,
) -> None:
    director = await open_director(STORY, memory="off")
    pinned = [director.chat.entries[at].id for at in (3, 1)]
    for each in pinned:
        await read(director.pin(each, True))
    for turn in range(5):
        await settled(director)
        await read(director.say(LINES[turn % 3]))
        await read(director.reply("Isolde"))
    text = await prompt(director)
    begins = [f"Isolde: {at}: " for at in (1, 3)]
    assert f"[/INST]\n▀message (length: tiny)\n{begins[0]}" in text
    assert text.index(begins[0]) < text.index(begins[1]) and "Wren: 2: " not in text
    await summarised(director, director.chat.entries[-3].id)
    text = await prompt(director)
    assert text.index(begins[1]) < text.index(TOLD)
    await read(director.undo())
    for entry in director.chat.entries[4:10]:
        events = await read(director.pin(entry.id, True))
    [failed] = events
    assert isinstance(failed, Failed) and failed.sentence.startswith("The pinned messages take")
    assert "unpin" in failed.sentence


async def test_a_whisper_is_summarised_apart_for_those_who_heard_it(
    open_director: OpenDirector, disk: Disk
) -> None:
    director = await open_director(replace(STORY, messages=STORY.messages[:4]))
    note = Draft("note", "", "Isolde lies.", details=Details(note=NoteRule(reader="Isolde")))
    whisper = Draft("message", "Wren", "The key is wet.", details=Details(heard=("Isolde",)))
    sticky = Draft("note", "", "Be brief.", details=Details(note=NoteRule(sticky=True)))
    for each in (note, sticky, whisper):
        await disk.run(Library.append, director.chat.id, each)
    await director.chat.reload()
    last = director.chat.entries[-1].id
    documents = listening(director).documents
    await read(director.summarise(last))
    assert director.memory.draft is not None
    assert director.memory.draft.count == 4, "what is read all the same is not summarised"
    await summarised(director, last)
    assert LINES[0] in documents[-1] and "wet" not in documents[-1]
    assert "lies" not in documents[-1], "a note to one is none for all"
    assert director.memory.is_missing(last)
    await summarised(director, last, "Isolde knows of the key.")
    assert "wet" in documents[-1] and "only Isolde and Wren know" in documents[-1]
    assert not director.memory.is_missing(last)
    found = {each.text: each.details.heard for each in director.chat.entries[7:]}
    assert found == {TOLD: None, "Isolde knows of the key.": ("Isolde", "Wren")}
    text = await prompt(director)
    assert "▀lore\nIsolde knows of the key.▄" in text and "wet" not in text
    assert "[INST] Be brief. [/INST]" in text
