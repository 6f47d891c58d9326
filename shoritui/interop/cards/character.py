"""A character card of other programs (V1, V2, V3, Pygmalion) as one of ours.

name, nickname                     the name, an alias
description, personality           the description
scenario                           the scenario
first_mes, alternate_greetings     the opening and its versions
group_only_greetings               the versions for several characters
mes_example                        the examples
system_prompt                      the instruction
post_history_instructions          a note at the end
extensions.depth_prompt            a note at its depth, in its role
character_book                     the lore
extensions.talkativeness           talkativeness
creator, creator_notes, tags ...   what is shown of the card, and never sent
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from shoritui.cards import Card, Character, Note, Opening
from shoritui.errors import UserError
from shoritui.interop.cards.lore import lore_of
from shoritui.interop.cards.marks import MARK, restored
from shoritui.interop.cards.values import (
    Values,
    name_of,
    number,
    text_of,
    texts_of,
    unused,
    values_of,
    whole,
)
from shoritui.names import fold
from shoritui.text import one_line

_OLD: Final = {
    "char_name": "name",
    "char_persona": "description",
    "world_scenario": "scenario",
    "char_greeting": "first_mes",
    "example_dialogue": "mes_example",
    "context": "description",
    "greeting": "first_mes",
}
OLD_NAMES: Final = {
    **{new: tuple(old for old, name in _OLD.items() if name == new) for new in _OLD.values()},
    "creator_notes": ("creatorcomment",),
}
"""What the fields were called before, and are in copies beside them."""
PERSONALITY: Final = "**Personality:** "
"""What stands before the personality in a description."""
SCENE_NAMES: Final = {
    "scenario": "scenario",
    "instruction": "system_prompt",
    "creator": "creator",
    "creator_notes": "creator_notes",
    "card_version": "character_version",
}
"""Texts of a card, and what they are called there."""
MOST_ROWS: Final = 10_000
"""Greetings, tags or pieces of lore in a card."""
_SIGNS: Final = ("description", "personality", "scenario", "first_mes", "mes_example")
_USED: Final = {
    "name", "nickname", "description", "personality", "scenario", "first_mes", "character_book",
    "alternate_greetings", "group_only_greetings", "mes_example", "extensions", "talkativeness",
    "system_prompt", "post_history_instructions", "depth_prompt", "creator", "creator_notes",
    "creatorcomment", "character_version", "tags", MARK,
}  # fmt: skip
_SILENT: Final = {
    "spec", "spec_version", "data", "avatar", "chat", "create_date", "creation_date",
    "modification_date", "fav", "json_data",
}  # fmt: skip
_WORDS: Final = {
    "regex_scripts": "regex scripts",
    "world": "the name of a lorebook",
    "creator_notes_multilingual": "creator's notes in other languages",
    "assets": "pictures and other files",
}
ROLES: Final[dict[object, Literal["note", "character", "user"]]] = {
    **{"system": "note", "assistant": "character", "user": "user"},
    **{0: "note", 2: "character", 1: "user"},
}
"""As what a note is read, by the role that it has there."""
_DEPTH: Final = 4
"""The depth of a note that names none, there."""


def is_card(found: Values) -> bool:
    """Return whether JSON is a character card."""
    if text_of(found.get("spec")).startswith("chara_card"):
        return True
    values = _values(found)
    if isinstance(values.get("messages"), list):  # a chat of Agnaistic
        return False
    return "name" in values and any(isinstance(values.get(sign), str) for sign in _SIGNS)


def card_of(found: Values) -> tuple[Card, tuple[str, ...]]:
    """Return the card, and the names of what it has no place for, each once.

    Raises:
        UserError: It names nobody.
    """
    values = _values(found)
    extensions = values_of(values.get("extensions"))
    card = plain_card(found)
    _, left = lore_of(values_of(values.get("character_book")))
    beside = (
        *_left(values),
        *_left(extensions),
        *(f"lore's {each}" for each in left),
    )
    return restored(card, extensions.get(MARK)), tuple(dict.fromkeys(beside))


def plain_card(found: Values) -> Card:
    """Return what the fields of the card say; `UserError` if it names nobody."""
    values = _values(found)
    full = name_of(values.get("name"))
    name = name_of(values.get("nickname")) or full
    if not name:
        raise UserError("the card names nobody")
    _check_counts(values)
    personality = text_of(values.get("personality"))
    parts = (text_of(values.get("description")), personality and PERSONALITY + personality)
    extensions = values_of(values.get("extensions"))
    lore, _ = lore_of(values_of(values.get("character_book")))
    talks = number(extensions.get("talkativeness", values.get("talkativeness")), 0, 1)
    character = Character(
        name=name,
        aliases=(full,) if full and fold(full) != fold(name) else (),
        description="\n".join(filter(None, parts)),
        talkativeness=0.5 if talks is None else talks,
        examples=text_of(values.get("mes_example")),
    )
    texts: dict[str, Any] = {
        ours: text_of(values.get(theirs)) for ours, theirs in SCENE_NAMES.items()
    }
    texts["creator_notes"] = texts["creator_notes"] or text_of(values.get("creatorcomment"))
    return Card(
        **texts,
        labels=_labels(values),
        characters=(character,),
        lore=lore,
        notes=tuple(_notes(name, values, values_of(extensions.get("depth_prompt")))),
        messages=_opening(name, values),
    )


def _check_counts(values: Values) -> None:
    """Refuse a card of which only the reading would take minutes."""
    entries = values_of(values.get("character_book")).get("entries")
    lists = {
        name: values.get(name) for name in ("alternate_greetings", "group_only_greetings", "tags")
    }
    for name, found in {"lore": entries, **lists}.items():
        if isinstance(found, list | dict) and len(found) > MOST_ROWS:
            raise UserError(f"it has more than {MOST_ROWS:,} rows under {name}")


def named_today(values: Values) -> dict[str, Any]:
    """Return values under the names that their fields have today, unless they stand there too."""
    made: dict[str, Any] = {}
    for name, value in values.items():
        new = _OLD.get(name, name)
        made[name if new in made or (new != name and new in values) else new] = value
    return made


def _values(found: Values) -> Values:
    """Return where the fields stand, with the names that they have today."""
    data = values_of(found.get("data"))
    return named_today(data if "name" in data else found)


def _opening(name: str, values: Values) -> tuple[Opening, ...]:
    more, group = _list(values, "alternate_greetings"), _list(values, "group_only_greetings")
    greetings, in_group = texts_of([values.get("first_mes"), *more]), texts_of(group)
    if not (texts := greetings or in_group[:1]):
        return ()
    return (Opening(speaker=name, text=texts[0], versions=texts[1:], group_versions=in_group),)


def _notes(name: str, values: Values, at_depth: Values) -> Iterator[Note]:
    if text := text_of(at_depth.get("prompt")):
        role = at_depth.get("role")
        yield Note(
            text=text,
            depth=whole(at_depth.get("depth"), 0, 1000, _DEPTH),
            character=name,
            role=ROLES.get(role, "note") if isinstance(role, str | int) else "note",
        )
    if text := text_of(values.get("post_history_instructions")):
        yield Note(text=text, depth=0, character=name)


def _labels(values: Values) -> tuple[str, ...]:
    """Return a card's tags, each on one line and without the commas that part them in ours."""
    tags = (one_line(tag).replace(",", " ") for tag in texts_of(values.get("tags")))
    return tuple(dict.fromkeys(" ".join(tag.split()) for tag in tags if tag.strip()))


def _list(values: Values, name: str) -> list[object]:
    found = values.get(name)
    return found if isinstance(found, list) else []


def _left(values: Mapping[str, object]) -> Iterator[str]:
    for name in unused(values, _USED | _SILENT):
        yield _WORDS.get(name, name)
