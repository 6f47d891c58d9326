"""Our templates, put together by SillyTavern's rules, make the prompt that ShoriTUI makes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import Block, Instruction, message_header, parse, render_all
from shoritui.cards import Card, Character, Lore
from shoritui.interop.templates import (
    JOIN_PREFIX,
    JOIN_SUFFIX,
    context_template,
    instruct_template,
    write_templates,
)
from shoritui.story import Entry, Form, header_parts, story_parts
from tests.interop.templates.rules import Member, Said, Tavern

USER = "Wren"
_HINT = re.compile(r" \(length: \w+\)")


def tavern(members: list[Member], scenario: str = "", **more: str) -> Tavern:
    is_group = len(members) > 1
    if not is_group:
        members = [
            Member(each.name, each.description, each.personality, scenario) for each in members
        ]
    return Tavern(
        context_template(groups=is_group),
        instruct_template(),
        USER,
        members,
        group_scenario=scenario,
        prefix=JOIN_PREFIX,
        suffix=JOIN_SUFFIX,
        **more,
    )


def ours(
    members: list[Member],
    said: list[Said],
    speaker: str,
    scenario: str = "",
    persona: str = "",
    lore: str = "",
    system: str = "",
) -> str:
    """The prompt of the same chat, as the model reads it here."""
    scene = Card(
        characters=(
            *(Character(name=each.name, description=_description(each)) for each in members),
            Character(name=USER, description=persona, user=True),
        ),
        scenario=scenario,
        lore=(Lore(name="lore", text=lore),) if lore else (),
    )
    entries = [_entry(number, each) for number, each in enumerate(said, 1)]
    form = Form(instruction=system)
    parts = header_parts(scene, USER, form)
    for group in story_parts(scene, entries, form):
        parts += group
    return render_all(part for _, part in parts) + message_header(speaker, "medium")


def _description(member: Member) -> str:
    personality = f"**Personality:** {member.personality}" if member.personality else ""
    return "\n".join(filter(None, (member.description, personality)))


def _entry(number: int, said: Said) -> Entry:
    return Entry(
        id=number,
        parent=number - 1 or None,
        kind="note" if said.is_narrator else "message",
        speaker=said.name,
        length=None,
        text=said.text,
        status="complete",
        created=0.0,
        tokens=0,
        slot=number,
    )


def same(prompt: str, expected: str) -> None:
    """Equal to the byte but for hints, and well formed up to the open block."""
    assert _HINT.sub("", prompt) == _HINT.sub("", expected)
    closed = parse(f"{prompt} …▄\n")
    assert all(isinstance(part, Block | Instruction) for part in closed)
    assert "▄\n▄" not in prompt


def test_a_chat_of_two() -> None:
    member = Member("Orla", "An old keeper of the light.", "gruff")
    said = [Said("Orla", "Mind the step."), Said(USER, "Which?", True), Said("Orla", "That.")]
    more = {"persona": "A clerk of the harbour.", "system": "Be kind."}
    prompt = tavern([member], "A storm comes.", lore_before="Salt Isle lies west.", **more).prompt(
        said, "Orla"
    )
    same(
        prompt, ours([member], said, "Orla", "A storm comes.", lore="Salt Isle lies west.", **more)
    )
    assert prompt.endswith("▄\n▀message (length: medium)\nOrla:")


def test_a_group_in_which_characters_speak_one_after_another() -> None:
    members = [Member("Orla", "An old keeper."), Member("Pim", "A boy of ten."), Member("Ash", "")]
    said = [
        Said("Orla", "Who is there?"),
        Said("Pim", "Me."),
        Said("Ash", "And me.\n\nBoth of us."),
        Said("", "The wind rises.", is_narrator=True),
        Said("Pim", "Let us in!"),
        Said(USER, "Wait.", True),
    ]
    for speaker in ("Orla", "Pim", "Ash"):
        prompt = tavern(
            members, "Night.", persona="A clerk.", lore_after="The door sticks."
        ).prompt(said, speaker)
        same(prompt, ours(members, said, speaker, "Night.", "A clerk.", "The door sticks."))
        assert prompt.startswith("▀lore\nThe door sticks.▄\n▀description\nOrla\nAn old keeper.▄\n")


def test_the_published_templates_are_not_well_formed_in_groups() -> None:
    """What the rules above say of the model card's own pair, so that they are known to tell."""
    published = {
        **instruct_template(),
        **{"input_sequence": "▀message (length: tiny)\n", "input_suffix": ""},
        **{"output_sequence": "▄\n▀message\n", "output_suffix": "▄\n"},
        **{"last_output_sequence": "▄\n▀message (length: medium)\n"},
        **{"first_output_sequence": "▀message\n"},
    }
    chat = Tavern(context_template(), published, USER, [Member("Orla", "Old.")])
    prompt = chat.prompt([Said("Orla", "So."), Said("Pim", "Yo!")], "Orla")
    assert "▄\n▄\n" in prompt


_TEXT = st.text("abcXYZ .,!?\n\"'*_äß中", min_size=1, max_size=40).map(str.strip).filter(bool)
_NAMES = ["Orla", "Pim", "Ash", "Dr. Vale"]


@given(st.data())
def test_any_chat_is_the_same_prompt(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=4, unique=True))
    members = [Member(name, data.draw(_TEXT | st.just(""))) for name in names]
    speakers = st.sampled_from([*names, USER, ""])
    rows = data.draw(st.lists(st.tuples(speakers, _TEXT), max_size=8))
    said = [Said(name, text, name == USER, not name) for name, text in rows]
    optional = _TEXT | st.just("")
    scenario, lore = data.draw(optional), data.draw(optional)
    persona, system = data.draw(optional), data.draw(optional)
    speaker = data.draw(st.sampled_from(names))
    chat = tavern(members, scenario, persona=persona, system=system, lore_before=lore)
    same(chat.prompt(said, speaker), ours(members, said, speaker, scenario, persona, lore, system))


def test_the_files(tmp_path: Path) -> None:
    first = write_templates(tmp_path / "new", "Be kind.")
    again = write_templates(tmp_path / "new", "Be kind.")
    assert len({*first, *again}) == 8
    context, group, instruct, system = (
        json.loads(each.read_text(encoding="utf-8")) for each in first
    )
    assert (context["name"], group["name"], instruct["name"]) == (
        *("BlockML", "BlockML groups", "BlockML"),
    )
    assert system["content"] == "Be kind."
    assert instruct["names_behavior"] == "always" and instruct["wrap"] is False
    assert instruct["input_suffix"] == instruct["output_suffix"] == "▄\n"
