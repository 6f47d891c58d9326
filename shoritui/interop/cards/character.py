"""A character card of other programs (V1, V2, V3, Pygmalion) as one of ours.

name, nickname                     the name, an alias
description, personality           the description
scenario                           the scenario
first_mes                          the opening
character_book                     the lore
extensions.talkativeness           talkativeness
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from shoritui.cards import Card, Character, Opening
from shoritui.errors import UserError
from shoritui.interop.cards.lore import lore_of
from shoritui.interop.cards.values import (
    Values,
    name_of,
    number,
    text_of,
    texts_of,
    unused,
    values_of,
)
from shoritui.names import fold
from shoritui.text import counted

_OLD: Final = {
    "char_name": "name",
    "char_persona": "description",
    "world_scenario": "scenario",
    "char_greeting": "first_mes",
    "example_dialogue": "mes_example",
}
_SIGNS: Final = ("description", "personality", "scenario", "first_mes", "mes_example")
_USED: Final = {
    "name", "nickname", "description", "personality", "scenario", "first_mes", "character_book",
    "alternate_greetings", "extensions", "talkativeness",
}  # fmt: skip
_SILENT: Final = {
    "spec", "spec_version", "data", "avatar", "chat", "create_date", "creation_date",
    "modification_date", "fav", "json_data",
}  # fmt: skip
_WORDS: Final = {
    "mes_example": "example dialogue",
    "system_prompt": "system prompt",
    "post_history_instructions": "instructions after the story",
    "group_only_greetings": "greetings for groups",
    "depth_prompt": "note at a depth",
    "regex_scripts": "regex scripts",
    "world": "the name of a lorebook",
    "creator_notes": "creator's notes",
    "creatorcomment": "creator's notes",
    "creator_notes_multilingual": "creator's notes in other languages",
    "character_version": "version",
    "assets": "pictures and other files",
}


def is_card(found: Values) -> bool:
    """Return whether JSON is a character card."""
    if text_of(found.get("spec")).startswith("chara_card"):
        return True
    values = _values(found)
    return "name" in values and any(isinstance(values.get(sign), str) for sign in _SIGNS)


def card_of(found: Values) -> tuple[Card, tuple[str, ...]]:
    """Return the card, and the names of what it has no place for, each once.

    Raises:
        UserError: It names nobody.
    """
    values = _values(found)
    full = name_of(values.get("name"))
    name = name_of(values.get("nickname")) or full
    if not name:
        raise UserError("the card names nobody")
    personality = text_of(values.get("personality"))
    parts = (text_of(values.get("description")), personality and f"**Personality:** {personality}")
    extensions = values_of(values.get("extensions"))
    greetings = _greetings(values)
    lore, left = lore_of(values_of(values.get("character_book")))
    talks = number(extensions.get("talkativeness", values.get("talkativeness")), 0, 1)
    character = Character(
        name=name,
        aliases=(full,) if full and fold(full) != fold(name) else (),
        description="\n".join(filter(None, parts)),
        talkativeness=0.5 if talks is None else talks,
    )
    card = Card(
        scenario=text_of(values.get("scenario")),
        characters=(character,),
        lore=lore,
        messages=tuple(Opening(speaker=name, text=text) for text in greetings[:1]),
    )
    beside = (
        *([counted(len(greetings) - 1, "more greeting")] if len(greetings) > 1 else []),
        *_left(values),
        *_left(extensions),
        *(f"lore's {each}" for each in left),
    )
    return card, tuple(dict.fromkeys(beside))


def _values(found: Values) -> Values:
    """Return where the fields stand, with the names that they have today."""
    data = values_of(found.get("data"))
    values = data if "name" in data else found
    return {_OLD.get(name, name): value for name, value in values.items()}


def _greetings(values: Values) -> tuple[str, ...]:
    more = values.get("alternate_greetings")
    return texts_of([values.get("first_mes"), *(more if isinstance(more, list) else [])])


def _left(values: Mapping[str, object]) -> Iterator[str]:
    for name in unused(values, _USED | _SILENT):
        if name != "depth_prompt" or text_of(values_of(values[name]).get("prompt")):
            yield _WORDS.get(name, name)
