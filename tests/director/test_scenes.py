"""Scenes in mid-story, notes by their rules, the instruction and words out of character."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from shoritui.blockml import parse
from shoritui.demo import model_path
from shoritui.director import Director, Disk, reread
from shoritui.engine import Engine, EngineOptions
from shoritui.interop.blockml_text import blockml_text
from shoritui.settings import DEFAULT_INSTRUCTION
from shoritui.story import Library, NoteRule
from tests.director.conftest import OpenDirector, read

pytestmark = pytest.mark.asyncio(loop_scope="module")
INSTRUCTION = f"[INST] {DEFAULT_INSTRUCTION} [/INST]\n"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncIterator[Engine]:
    """One for all tests."""
    engine = Engine()
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    yield engine
    await engine.close()


async def prompt_of(director: Director, speaker: str = "Mara") -> str:
    return "".join(segment.text for segment in await director.preview(speaker))


async def exported(disk: Disk, director: Director) -> str:
    return blockml_text(await disk.run(Library.whole_chat, director.chat.id))


async def fill(director: Director, messages: int = 40) -> None:
    """Say more than the context holds."""
    for number in range(messages):
        await read(director.say(f"{number}: " + "The fog came in and the bell was still. " * 6))


async def test_a_scene_begins_in_mid_story_and_is_one_act(
    open_director: OpenDirector, disk: Disk
) -> None:
    director = await open_director()
    await read(director.begin_scene("Noon", "harbour, sun", "They must find the spoon."))
    blocks = "▀title\nNoon▄\n▀tags\nharbour, sun▄\n▀scenario\nThey must find the spoon.▄\n"
    assert (await prompt_of(director)).endswith(f"{blocks}▀message (length: medium)\nMara:")
    assert (await exported(disk, director)).endswith(blocks)
    assert len(director.chat.entries) == 5
    await read(director.undo())
    assert len(director.chat.entries) == 2
    await read(director.redo())
    await read(director.begin_scene("", "", "They must eat."))
    assert [entry.kind for entry in director.chat.entries[2:]] == [
        *("title", "tags", "scenario"),
        "scenario",
    ]


async def test_once_a_scene_has_left_the_context_it_heads_the_prompt(
    open_director: OpenDirector,
) -> None:
    director = await open_director()
    await read(director.begin_scene("Noon", "", "They must find the spoon."))
    await read(director.note("Write in the present.", NoteRule(sticky=True)))
    await read(director.note("A note that goes."))
    await fill(director)
    text = await prompt_of(director)
    parts = parse(text[: text.rindex("▀message")])
    assert [part.body for part in parts[:2] if hasattr(part, "body")] == [
        "Noon",
        "ferry, fog, harbour",
    ]
    assert "▀scenario\nThey must find the spoon.▄\n" + INSTRUCTION in text
    assert "The Lantern on the Quay" not in text and "A note that goes." not in text
    assert text.count("[INST] Write in the present. [/INST]\n") == 1
    sticky = director.chat.entries[4]
    await read(director.hide(sticky.id, True))
    assert "present" not in await prompt_of(director)


async def test_a_rule_can_be_changed_and_an_edit_keeps_it(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.note("Be slow."))
    for number in range(3):
        await read(director.say(f"{number}."))
    assert "[INST] Be slow. [/INST]\n▀message (length: nano)\nWren: 0.▄" in await prompt_of(
        director
    )
    note = director.chat.entries[2]
    await read(director.change_rule(note.id, NoteRule(depth=1)))
    assert "[INST] Be slow. [/INST]\n▀message (length: nano)\nWren: 2.▄" in await prompt_of(
        director
    )
    await read(director.edit(director.chat.entries[2].id, "Be quick."))
    assert "[INST] Be quick. [/INST]\n▀message (length: nano)\nWren: 2.▄" in await prompt_of(
        director
    )
    await read(director.undo())
    await read(director.undo())
    assert director.chat.entries[2].details.note is None


async def test_a_note_for_one_is_in_that_ones_prompts_alone(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.note("Lie to everybody.", NoteRule(reader="Tobin", depth=0)))
    assert "Lie" in await prompt_of(director, "Tobin")
    assert "Lie" not in await prompt_of(director, "Mara")


async def test_the_instruction_is_the_chats_own_where_it_has_one(
    open_director: OpenDirector, disk: Disk
) -> None:
    director = await open_director()
    assert INSTRUCTION in await prompt_of(director)
    await director.chat.choose_instruction("Be terse.")
    for text in (await prompt_of(director), await exported(disk, director)):
        assert "[INST] Be terse. [/INST]" in text and INSTRUCTION not in text
    await director.chat.choose_instruction("")
    for text in (await prompt_of(director), await exported(disk, director)):
        assert "[INST]" not in text
    await read(director.undo())
    assert "Be terse." in await prompt_of(director)
    await read(director.undo())
    assert INSTRUCTION in await prompt_of(director)
    await director.chat.choose_instruction("Be terse.")
    await director.chat.choose_instruction(None)
    assert INSTRUCTION in await prompt_of(director)


async def test_words_out_of_character_are_in_the_prompt_or_not(
    open_director: OpenDirector, disk: Disk
) -> None:
    director = await open_director(max_tokens=8)
    await read(director.ooc("Is it late?"))
    await read(director.say("Hm."))
    assert "▀ooc\nWren: Is it late?▄" in await prompt_of(director)
    before = await director.preview("Mara")
    await director.chat.choose_ooc("out")
    for text in (await prompt_of(director), await exported(disk, director)):
        assert "▀ooc" not in text
    told = "".join(segment.text for segment in before if not segment.text.startswith("▀ooc"))
    assert await prompt_of(director) == told
    await read(director.undo())
    assert await director.preview("Mara") == before
    again = await open_director(ooc_in_prompt=False, ooc_form="{text}")
    await read(again.ooc("Is it late?", answer=False))
    assert "▀ooc" not in await prompt_of(again)
    await again.chat.choose_ooc("in")
    assert "▀ooc\nIs it late?▄" in await prompt_of(again)


async def test_acts_without_a_name_are_on_the_story_after_other_talk_too(
    open_director: OpenDirector,
) -> None:
    director = await open_director(max_tokens=8)
    await read(director.reply("Mara"))
    mara = director.chat.entries[2]
    await read(director.ooc("Is it late?"))
    talk = director.chat.entries[3:]
    await read(director.regenerate())
    assert director.chat.entries[2].slot == mara.slot and director.chat.entries[2].id != mara.id
    assert [entry.text for entry in director.chat.entries[3:]] == [entry.text for entry in talk]
    await read(director.continue_())
    assert director.chat.entries[2].slot == mara.slot
    assert [entry.kind for entry in director.chat.entries[3:]] == ["ooc"] * len(talk)


async def test_a_note_where_it_was_written_costs_nothing_and_at_a_depth_what_was_told(
    open_director: OpenDirector,
) -> None:
    evaluated: dict[str, int] = {}
    rules = {"none": None, "sticky": NoteRule(sticky=True), "depth": NoteRule(depth=1)}
    for name, rule in rules.items():
        director = await open_director(max_tokens=8)
        await read(director.note("Be slow.", rule))
        # In a prompt of its own: the engine still holds those of the other rules.
        await director.chat.choose_instruction(f"Be {name}.")
        await read(director.say("The fog came in and the bell was still. " * 4))
        await read(director.reply("Mara"))
        await read(director.say("Hm."))
        await read(director.reply("Mara"))
        evaluated[name] = director.figures.evaluated
        told = reread(director.chat, rule or NoteRule())
        assert told == 0 if name != "depth" else told > 10
    assert abs(evaluated["sticky"] - evaluated["none"]) < 12, evaluated
    assert evaluated["depth"] > evaluated["sticky"] + 24, evaluated
