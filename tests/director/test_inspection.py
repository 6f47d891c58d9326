"""The inspector: what it tells of the next prompt is what is then evaluated, to the token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from shoritui.cards import Opening
from shoritui.demo import model_path
from shoritui.director import Event, TurnEnded, begun_with
from shoritui.engine import Engine, EngineOptions
from shoritui.story import Details, Draft, Kind, NoteRule
from tests.director.conftest import SCENE, OpenDirector, read

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = replace(
    SCENE, messages=tuple(Opening(speaker="Mara", text=f"Wave {n} came in.") for n in range(60))
)


@pytest.fixture(scope="module")
def model() -> Path:
    return model_path()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine(model: Path) -> AsyncIterator[Engine]:
    engine = Engine()
    await engine.open(model, EngineOptions(n_ctx=768, n_threads=1))
    yield engine
    await engine.close()


def ended(events: list[Event]) -> TurnEnded:
    [end] = [event for event in events if isinstance(event, TurnEnded)]
    return end


async def test_each_turn_evaluates_what_was_told(open_director: OpenDirector) -> None:
    director = await open_director(max_tokens=16)
    for said in ("Wren waited.", "The bell!\n▀▄", 'Did the "bell" ring?'):
        await read(director.say(said))
        told = await director.inspector.prompt()
        assert told.is_exact and told.tokens + told.reserve <= told.context_size
        ids = [id_ for block in told.blocks for id_ in block.ids or ()]
        assert ids == await director.engine.tokens(await director.preview(told.speaker))
        outcome = ended(await read(director.reply())).outcome
        assert outcome.prompt_tokens == told.tokens == len(ids)
        assert outcome.reused_tokens == told.reused
    assert "".join(block.text for block in told.blocks) == told.text


async def test_each_block_says_where_it_came_from(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.say("I heard the bell."))
    await read(director.note("It is noon."))
    told = await director.inspector.prompt("Tobin")
    kinds = [(block.kind, block.name) for block in told.blocks]
    assert kinds[:4] == [("title", ""), ("tags", ""), ("lore", "The fog"), ("description", "Mara")]
    assert kinds[-1] == ("reply", "Tobin") and ("note", "") in kinds
    [bell] = [block for block in told.blocks if block.name == "The bell"]
    assert "bell" in bell.why and "in entry 3" in bell.why
    [said] = [block for block in told.blocks if block.number == 3]
    assert (said.kind, said.name, said.entry) == ("message", "Wren", director.chat.entries[2])


async def test_what_is_left_out_is_told_with_its_reason(open_director: OpenDirector) -> None:
    director = await open_director(MANY)
    hidden = director.chat.entries[-1]
    await read(director.hide(hidden.id, True))
    told = await director.inspector.prompt()
    read_, left = {block.number for block in told.blocks}, told.left_out
    assert {each.number for each in left} | read_ >= set(range(1, 61))
    assert [each.number for each in left if each.reason == "hidden"] == [60]
    trimmed = [each.number for each in left if each.reason == "trimmed"]
    assert trimmed == list(range(1, min(read_ - {0})))
    count, tokens, uncounted = told.sums["trimmed"]
    assert count == len(trimmed) and (tokens, uncounted) == (0, count)
    story = sum(block.tokens for block in told.blocks if block.entry is not None)
    assert story <= told.room < told.context_size


async def test_another_token_makes_a_version_that_keeps_what_is_before_it(
    open_director: OpenDirector,
) -> None:
    director = await open_director(max_tokens=24)
    await read(director.reply("Mara"))
    old = director.chat.entries[-1]
    tokens = await director.inspector.likelihoods(old.id)
    assert "".join(each.token.text for each in tokens) == f" {old.text}▄"
    at = len(tokens) // 2
    other = next(e for e in tokens[at].top if e.id != tokens[at].token.id and e.text.isascii())
    begun = begun_with(tokens, at, other.text)
    await read(director.go_on_from(old.id, begun))
    new = director.chat.entries[-1]
    assert new.text.startswith(begun) and new.slot == old.slot and new.id != old.id
    assert old.text.startswith(begun_with(tokens, at, ""))
    assert (await director.chat.next_undo_redo())[0] == "Retry a part of Mara's message"
    await read(director.undo())
    assert director.chat.entries[-1] == old


async def test_what_might_be_said_is_looked_at_and_not_kept(open_director: OpenDirector) -> None:
    director = await open_director()
    before = list(director.chat.entries)
    told = await director.inspector.prompt("Mara", "The bell is late.")
    assert "Wren: The bell is late.▄" in told.text
    assert any(block.name == "The bell" for block in told.blocks)
    assert director.chat.entries == before


async def test_no_prompt_is_ever_over_the_context(open_director: OpenDirector) -> None:
    director = await open_director(replace(MANY, messages=MANY.messages[:8]), max_tokens=1)
    told = await director.inspector.prompt("Mara")
    while (free := told.context_size - told.tokens - told.reserve) > 60:
        await read(director.say("A wave."))
        told = await director.inspector.prompt("Mara")
    rests = []
    for words in range(free):
        told = await director.inspector.prompt("Mara", "a " * (1 + words))
        rests.append(told.context_size - told.tokens - told.reserve)
    assert min(rests) in (0, 1) and "trimmed" in told.sums


async def test_what_others_put_into_the_story_is_shown_as_what_it_became(
    open_director: OpenDirector,
) -> None:
    director = await open_director()
    first, second = director.chat.entries[:2]

    async def put(kind: Kind, text: str, speaker: str = "", **details: Any) -> int:
        draft = Draft(kind, speaker, text, details=Details(**details))
        return (await director.chat.append(draft)).id

    await put("lore", "They met.", span=(first.slot, second.slot))
    await put("message", "At dawn.", "Mara", heard=("Wren",))
    await put("note", "Be brief.", note=NoteRule(depth=1, reader="Tobin"))
    await put("message", "Aye.", "Wren")
    for_tobin = await director.inspector.prompt("Tobin")
    [summary] = [block for block in for_tobin.blocks if block.kind == "summary"]
    assert summary.why == "stands for entries 1 to 2" and summary.number == 3
    [note] = [block for block in for_tobin.blocks if block.kind == "note"]
    assert note.why == "1 message before the end, for Tobin"
    for_wren = await director.inspector.prompt("Wren")
    [whisper] = [block for block in for_wren.blocks if block.kind == "whisper"]
    assert whisper.why == "heard by Wren" and whisper.name == "Mara"
    reasons = {each.number: each.reason for each in for_wren.left_out}
    assert reasons[5] == "its rule"
    reasons = {each.number: each.reason for each in for_tobin.left_out}
    assert reasons == {1: "summarised", 2: "summarised", 4: "not heard"}
    assert "At dawn." not in for_tobin.text


async def test_a_whisper_that_goes_on_from_a_token_is_still_a_whisper(
    open_director: OpenDirector,
) -> None:
    director = await open_director(max_tokens=8)
    whisper = Details(heard=("Wren",))
    old = await director.chat.append(Draft("message", "Mara", "At dawn.", details=whisper))
    await read(director.go_on_from(old.id, "At noon"))
    new = director.chat.entries[-1]
    assert new.text.startswith("At noon") and new.details.heard == whisper.heard
    assert "At noon" not in (await director.inspector.prompt("Tobin")).text
