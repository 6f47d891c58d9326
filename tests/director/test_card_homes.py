"""A card of another program, whole, from its file to what the model reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shoritui.cards import Card, Character, Note, Opening, load_cards
from shoritui.director import Director
from shoritui.folders import HOME_VARIABLE
from shoritui.interop.cards import import_card
from shoritui.settings import DEFAULT_INSTRUCTION
from shoritui.story import Entry
from tests.director.conftest import OpenDirector, read

DATA: dict[str, Any] = {
    "name": "Orla Finn",
    "nickname": "Orla",
    "description": "{{char}} keeps the light for {{user}}.",
    "personality": "dry",
    "scenario": "The lamp went out.",
    "first_mes": '"Mind the step," {{char}} told {{user}}.',
    "alternate_greetings": ["The horn blew for {{user}}.", "{{// nothing}}", "Fog."],
    "group_only_greetings": ['"All of you?" {{char}} asked.'],
    "mes_example": (
        '<START>\n{{user}}: Is it far?\n{{char}}: "Far?" She laughed.\nNote: a short laugh.\n'
        "<start>\n{{char}}: Hm."
    ),
    "system_prompt": "{{original}} Never speak for {{user}}.",
    "post_history_instructions": "Stay with {{char}}. {{original}}",
    "creator": "Ann",
    "creator_notes": "SECRET: made at night.",
    "character_version": "SECRET 1.2",
    "tags": ["SECRET tag"],
    "extensions": {
        "depth_prompt": {"prompt": "{{char}} is cold.", "depth": 1, "role": "system"},
        "talkativeness": "0.9",
    },
}


def card(folder: Path, **changes: Any) -> Path:
    """The file that a card of another program becomes."""
    data = {**DATA, **changes}
    path = folder / f"{data['name']}.json"
    path.write_text(json.dumps({"spec": "chara_card_v3", "data": data}), encoding="utf-8")
    imported = import_card(path)
    assert imported is not None and imported.left == ()
    return imported.path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))


async def prompt_of(director: Director, speaker: str = "Orla") -> str:
    return "".join(segment.text for segment in await director.preview(speaker))


async def versions_of(director: Director, entry: Entry) -> list[str]:
    return [each.text for each in await director.chat.versions(entry.id)]


async def test_every_field_is_read_in_its_place(
    open_director: OpenDirector, tmp_path: Path
) -> None:
    director = await open_director(load_cards([card(tmp_path)]))
    await read(director.say("Is it late?"))
    assert await prompt_of(director) == (
        "▀description\nOrla keeps the light for You.\n**Personality:** dry▄\n"
        "▀scenario\nThe lamp went out.▄\n"
        "[INST] An example of how Orla talks. It is no part of the story. [/INST]\n"
        "▀message\nYou: Is it far?▄\n"
        '▀message\nOrla: "Far?" She laughed.\nNote: a short laugh.▄\n'
        "[INST] An example of how Orla talks. It is no part of the story. [/INST]\n"
        "▀message\nOrla: Hm.▄\n"
        "[INST] The story begins. [/INST]\n"
        f"[INST] {DEFAULT_INSTRUCTION} Never speak for You. [/INST]\n"
        '▀message (length: nano)\nOrla: "Mind the step," Orla told You.▄\n'
        "[INST] Orla is cold. [/INST]\n"
        "▀message (length: nano)\nYou: Is it late?▄\n"
        "[INST] Stay with Orla. [/INST]\n"
        "▀message (length: medium)\nOrla:"
    )
    assert "SECRET" not in await prompt_of(director)
    assert director.chat.scene.card_version == "SECRET 1.2"
    assert director.chat.scene.characters[0].talkativeness == 0.9


async def test_nothing_at_the_top_is_read_again(
    open_director: OpenDirector, tmp_path: Path
) -> None:
    director = await open_director(load_cards([card(tmp_path)]))
    for said in ("One.", "Two.", "Three."):
        await read(director.say(said))
        await read(director.reply("Orla"))
        await read(director.say("And?"))
        blocks = (await director.inspector.prompt("Orla")).blocks
        header = [each for each in blocks if each.entry is None and each.kind != "reply"]
        assert [each.kind for each in header].count("example") == 3
        assert all(each.reused == each.tokens for each in header)
        # Nor is the story, but for what stands below the note at depth 1.
        again = [each.label for each in blocks if each.reused != each.tokens]
        assert len(again) <= 6, again


async def test_other_greetings_are_versions_of_the_opening(
    open_director: OpenDirector, tmp_path: Path
) -> None:
    director = await open_director(load_cards([card(tmp_path)]))
    opening = director.chat.messages[0]
    first, horn, fog = await director.chat.versions(opening.id)
    assert [first.id, horn.text, fog.text] == [opening.id, "The horn blew for You.", "Fog."]
    assert director.chat.version_places[opening.slot] == [first.id, horn.id, fog.id]
    await read(director.say("Is it late?"))
    await read(director.choose_version(opening.id, fog.id, keep=True))
    prompt = await prompt_of(director)
    assert "Orla: Fog.▄" in prompt and "Mind the step" not in prompt and "late?" in prompt
    await read(director.undo())
    assert "Mind the step" in await prompt_of(director)


async def test_among_several_the_greeting_for_groups_is_said(
    open_director: OpenDirector, tmp_path: Path
) -> None:
    bo = {"name": "Bo", "nickname": "", "first_mes": "Bo nodded.", "mes_example": ""}
    more = {"alternate_greetings": [], "group_only_greetings": [], "system_prompt": "Be brief."}
    scene = load_cards([card(tmp_path), card(tmp_path, **bo, **more)])
    director = await open_director(replace(scene, characters=(*scene.characters, YOU)))
    assert [each.text for each in director.chat.messages] == [
        '"All of you?" Orla asked.',
        "Bo nodded.",
    ]
    assert await versions_of(director, director.chat.messages[0]) == [
        *('"All of you?" Orla asked.', '"Mind the step," Orla told Wren.'),
        *("The horn blew for Wren.", "Fog."),
    ]
    orlas, bos = await prompt_of(director, "Orla"), await prompt_of(director, "Bo")
    assert "Orla is cold." in orlas and "Stay with Orla." in orlas and "Bo is cold" not in orlas
    assert "Bo is cold." in bos and "Stay with Bo." in bos and "Orla is cold" not in bos
    assert "Never speak for Wren." in bos and "Be brief" not in bos
    for prompt in (orlas, bos):  # The greeting, once: not as one of a single character.
        assert prompt.count("▀message (length: nano)") == 2


YOU = Character(name="Wren", user=True)
MARA = Character(name="Mara", description="Mara waits.")
SCENE = Card(characters=(MARA, YOU), messages=(Opening(speaker="Mara", text="Hush."),))


async def test_a_cards_instruction_gives_way_to_the_storys_own(open_director: OpenDirector) -> None:
    scene = replace(SCENE, instruction="{{ORIGINAL}} Mara is {{char}}. {{original}}")
    director = await open_director(scene, instruction="Rhyme, {{user}}.")
    assert "[INST] Rhyme, Wren. Mara is Mara. [/INST]" in await prompt_of(director, "Mara")
    for chosen, told in (("Be terse.", "Be terse."), ("{{original}}", "Rhyme, Wren.")):
        await director.chat.choose_instruction(chosen)
        assert f"[INST] {told} [/INST]" in await prompt_of(director, "Mara")
    await director.chat.choose_instruction("")
    assert "[INST]" not in await prompt_of(director, "Mara")
    await director.chat.choose_instruction(None)
    assert "Mara is Mara" in await prompt_of(director, "Mara")


async def test_notes_are_notes_of_the_story_and_can_be_somebodys_words(
    open_director: OpenDirector,
) -> None:
    notes = (
        Note(text="It is night."),
        Note(text="I am {{char}}.", depth=1, role="character", character="Mara"),
        Note(text="Go on.", depth=0, role="user"),
    )
    director = await open_director(replace(SCENE, notes=notes), instruction="")
    night, words, _ = director.chat.entries[:3]
    assert await prompt_of(director, "Mara") == (
        "▀description\nMara waits.▄\n"
        "[INST] It is night. [/INST]\n"
        "▀message\nMara: I am Mara.▄\n"
        "▀message (length: nano)\nMara: Hush.▄\n"
        "▀message\nWren: Go on.▄\n"
        "▀message (length: medium)\nMara:"
    )
    await read(director.edit(words.id, "I am old."))
    await read(director.delete(night.id))
    told = await prompt_of(director, "Mara")
    assert "Mara: I am old.▄" in told and "night" not in told
    assert "I am" not in await prompt_of(director, "Wren")


async def test_examples_stay_where_they_are_and_can_be_left_out(
    open_director: OpenDirector,
) -> None:
    talk = "\n".join(f"{{{{char}}}}: Line {number}." for number in range(200))
    mara = replace(MARA, examples=talk)
    scene = replace(SCENE, characters=(mara, YOU))
    director = await open_director(scene)
    before = list(await director.preview("Mara"))
    told = [segment for segment in before if segment.source.startswith("example")]
    # An eighth of 2,048 tokens, and nothing of it is halved.
    plan = await director.engine.plan(told[:-1])
    assert 200 < plan.total <= 256 and told[-2].text.endswith("▄\n")
    await read(director.reply("Mara"))
    await read(director.say("Hm."))
    after = list(await director.preview("Mara"))
    assert after[: len(before) - 1] == before[:-1]
    without = await open_director(scene, examples_in_prompt=False)
    assert "Line" not in await prompt_of(without, "Mara")
    as_mara = await open_director(
        replace(scene, characters=(replace(mara, user=True), replace(YOU, user=False)))
    )
    assert "Line" not in await prompt_of(as_mara, "Wren")


async def test_examples_of_who_is_not_there_wait(open_director: OpenDirector) -> None:
    away = Character(name="Bo", description="Bo is tall.", examples="Bo: Aye.", present=False)
    director = await open_director(replace(SCENE, characters=(MARA, away, YOU)))
    assert "Aye" not in await prompt_of(director, "Mara")
    await read(director.enter("Bo"))
    prompt = await prompt_of(director, "Bo")
    assert "Bo is tall." in prompt and "Aye" not in prompt
