"""Who the user is in a story, and macros in what enters it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from shoritui.cards import Card, Character, Opening
from shoritui.demo import model_path
from shoritui.director import (
    Appended,
    Director,
    Disk,
    Failed,
    Notice,
    PathChanged,
    SceneChanged,
    TurnEnded,
)
from shoritui.director.chat_state import ChatState
from shoritui.engine import Engine, EngineOptions, presets
from shoritui.settings import Settings
from shoritui.story import Library
from tests.director.conftest import SCENE, OpenDirector, read

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOSUN = Character(
    name="Bosun Pike",
    aliases=("Pike",),
    description="{{user}} whistles at {{char}}.",
    user=True,
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncIterator[Engine]:
    engine = Engine()
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    yield engine
    await engine.close()


async def prompt_of(director: Director, speaker: str = "Mara") -> str:
    return "".join(segment.text for segment in await director.preview(speaker))


def kinds(director: Director) -> list[str]:
    return [entry.kind for entry in director.chat.entries]


async def test_new_persona_is_described_where_it_appears_once(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.say("Before."))
    header, *_ = (await prompt_of(director)).partition("▀message")
    [shown] = await read(director.become(BOSUN))
    assert isinstance(shown, PathChanged)
    await read(director.say("Ahoy."))
    prompt = await prompt_of(director)
    assert prompt.startswith(header)
    begins = director.chat.who_next()
    described = f"▀description\nBosun Pike whistles at {begins}.▄\n"
    assert prompt.count(described) == 1
    assert re.search("Wren: Before.▄\n▀desc.*▄\n▀message.*\nBosun Pike: Ahoy.▄", prompt, re.DOTALL)
    await director.chat.choose_user("Wren")
    await read(director.become(BOSUN))
    assert kinds(director).count("description") == 1
    assert (await prompt_of(director)).count("▀description\nBosun Pike") == 1


async def test_switch_is_one_act_that_undo_takes_back(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.become(BOSUN))
    assert (director.chat.user, kinds(director)[-1]) == ("Bosun Pike", "description")
    assert director.chat.entries[-1].pinned
    await read(director.undo())
    assert (director.chat.user, kinds(director)[-1]) == ("Wren", "message")
    await read(director.redo())
    assert (director.chat.user, kinds(director)[-1]) == ("Bosun Pike", "description")


@pytest.mark.parametrize("strategy", ["in-turn", "natural", "pooled"])
async def test_nobody_writes_for_a_persona_nor_for_whom_it_replaced(
    open_director: OpenDirector, strategy: str
) -> None:
    director = await open_director(turns=strategy)
    assert "Wren" in director.chat.turn_order()
    await read(director.become(BOSUN))
    assert "Wren" not in director.chat.turn_order()
    assert director.chat.turn_order().count("Bosun Pike") == 1
    await read(director.become(Character(name="Nobody", user=True)))
    assert not {"Wren", "Bosun Pike"} & set(director.chat.turn_order())
    assert kinds(director).count("description") == 1
    await director.chat.choose_user("Tobin")
    assert "Wren" in director.chat.turn_order()


async def test_persona_is_called_by_its_aliases(open_director: OpenDirector) -> None:
    director = await open_director()
    await read(director.become(BOSUN))
    assert director.chat.participants["Pike"] == "Bosun Pike"
    await read(director.say('"Pike, have you seen it?"', "Mara"))
    assert director.chat.turn_order()[0] == "Bosun Pike"


async def test_user_may_be_a_name_without_a_card(open_director: OpenDirector) -> None:
    director = await open_director()
    await director.chat.choose_user("Anon")
    await read(director.say("{{user}} is here."))
    turns = director.chat.turn_order()
    assert "Anon" in turns and "Wren" not in turns
    assert isinstance((await read(director.reply()))[-1], TurnEnded)
    assert "Anon: Anon is here.▄" in await prompt_of(director)
    await read(director.become(BOSUN))
    assert "Anon: Anon is here.▄" in await prompt_of(director)
    assert not {"Anon", "Wren"} & set(director.chat.turn_order())


async def test_macros_are_settled_as_the_story_begins(open_director: OpenDirector) -> None:
    scene = Card(
        scenario="{{char}} waits for {{user}}.",
        characters=(
            Character(name="Mara", description="{{char}} has {{pick::a lamp::a rope}}."),
            Character(name="Wren", user=True),
        ),
        messages=(Opening(speaker="Mara", text="{{char}} nods at <USER>.{{unheard}}"),),
    )
    director = await open_director(scene)
    prompt = await prompt_of(director)
    assert "Mara waits for Wren." in prompt and "Mara: Mara nods at Wren.▄" in prompt
    assert re.search("Mara has a (lamp|rope).", prompt)
    assert "{" not in prompt


async def test_macros_of_an_older_scene_are_settled_when_it_is_opened(
    open_director: OpenDirector, disk: Disk
) -> None:
    director = await open_director()
    old = replace(SCENE, scenario="{{user}} must find {{char}}'s lantern.")
    await disk.run(Library.update_scene, director.chat.id, old)
    record = await disk.run(Library.chat, director.chat.id)
    chat = await ChatState.open(disk, record, Settings(), presets(None)[0])
    assert chat.scene.scenario == "Wren must find Mara's lantern."
    assert (await disk.run(Library.chat, chat.id)).scene == chat.scene


async def test_macros_are_settled_in_what_is_typed(open_director: OpenDirector) -> None:
    director = await open_director()
    [said] = await read(director.say("{{user}} looks at {{CHAR}}: {{lastMessage}}"))
    assert isinstance(said, Appended)
    assert said.entry.text.startswith("Wren looks at ")
    assert said.entry.text.endswith('"Only me," Tobin said.')
    await read(director.note("{{// soft }}Let {{char}} speak."))
    await read(director.edit(director.chat.entries[0].id, "{{char}} left {{user}}."))
    await read(director.insert(None, "message", "Tobin", "{{char}} came."))
    texts = [entry.text for entry in director.chat.entries]
    assert texts[0] == "Tobin came." and texts[1] == "Mara left Wren."
    assert re.fullmatch(r"Let \w+ speak\.", texts[-1])


async def test_macros_of_the_instruction_are_settled_in_each_turn_alike(
    open_director: OpenDirector,
) -> None:
    director = await open_director(instruction="Never speak for {{user}}. {{random::a::b}}{{odd}}")
    prompts = {await prompt_of(director) for _ in range(5)}
    assert len(prompts) == 1
    assert re.search(r"\[INST\] Never speak for Wren\. [ab] \[/INST\]", prompts.pop())


async def test_moods_are_asked_for_in_the_instruction(open_director: OpenDirector) -> None:
    director = await open_director(instruction="", mood_ask=True)
    asked = (
        "[INST] Begin each message with one to three emoji that show the speaker's mood. [/INST]"
    )
    assert asked in await prompt_of(director)


async def test_unknown_macros_are_told_and_what_is_nothing_else_is_not_said(
    open_director: OpenDirector,
) -> None:
    director = await open_director()
    said, told = await read(director.say("Hm {{mood}}."))
    assert isinstance(said, Appended) and said.entry.text == "Hm ."
    assert told == Notice("{{mood}} is no macro known here; it is left out.")
    assert await read(director.say("{{mood}}")) == [
        Failed("{{mood}} is no macro known here; it is left out.")
    ]
    changed, told = await read(
        director.change_scene(Card(scenario="{{x}}y", characters=SCENE.characters))
    )
    assert isinstance(changed, SceneChanged) and changed.scene.scenario == "y"
    assert told == Notice("the scenario: {{x}} is no macro known here; it is left out.")
