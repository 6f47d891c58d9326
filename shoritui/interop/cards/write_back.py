"""A card of ours as one of other programs (V2, V3), without losing what it held there before.

What the foreign card says already stays as it is, to the letter; so does all that we do not
understand. What a user has changed here is written into the fields it was read from, and what they
have no field for into a mark (`marks`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Literal, TypeAlias

from shoritui.cards import Card, Note, check_card
from shoritui.errors import UserError
from shoritui.interop.cards.character import (
    OLD_NAMES,
    PERSONALITY,
    ROLES,
    SCENE_NAMES,
    named_today,
    plain_card,
)
from shoritui.interop.cards.lore import book_of
from shoritui.interop.cards.marks import MARK, facts_of, mark_of
from shoritui.interop.cards.values import Values, text_of, values_of

Version: TypeAlias = Literal["v2", "v3"]
_SPECS: Final[dict[Version, tuple[str, str]]] = {
    "v2": ("chara_card_v2", "2.0"),
    "v3": ("chara_card_v3", "3.0"),
}
_ENVELOPE: Final[tuple[str, ...]] = ("spec", "spec_version")
_REQUIRED: Final[dict[str, object]] = {
    "name": "",
    "description": "",
    "personality": "",
    "scenario": "",
    "first_mes": "",
    "mes_example": "",
    "creator_notes": "",
    "system_prompt": "",
    "post_history_instructions": "",
    "alternate_greetings": [],
    "tags": [],
    "creator": "",
    "character_version": "",
    "extensions": {},
}
_REQUIRED_SINCE: Final[dict[Version, dict[str, object]]] = {
    "v2": {},
    "v3": {"group_only_greetings": []},
}


def written_back(card: Card, kept: Values, version: Version) -> dict[str, Any]:
    """Return a card as JSON of V2 or V3.

    Args:
        card: The card, whose first character is the one that is written.
        kept: The foreign card that it was made of; empty if there was none.
        version: The format.
    """
    card = replace(check_card(card), source="")
    whole = _Whole(copy.deepcopy(dict(kept)))
    _fit(whole, card)
    spec, number = _SPECS[version]
    if whole.top.get("spec") != spec or "spec_version" not in whole.top:
        whole.top.update(spec=spec, spec_version=number)
    for name, value in {**_REQUIRED, **_REQUIRED_SINCE[version]}.items():
        whole.data.setdefault(name, copy.deepcopy(value))
    return {**{name: whole.top[name] for name in (*_ENVELOPE, "data")}, **whole.top}


class _Whole:
    """A foreign card that is changed: where its fields stand, and perhaps stand once more."""

    def __init__(self, found: dict[str, Any]) -> None:
        data = found.get("data")
        if isinstance(data, dict) and "name" in data:
            self.top: dict[str, Any] = found
            self.data: dict[str, Any] = named_today(data)
        else:  # V1, and what is older
            self.top = {name: found.pop(name) for name in _ENVELOPE if name in found}
            self.data = named_today(found)
        self.top["data"] = self.data

    def read(self) -> Card | None:
        """Return what it says now; None if that is no card."""
        try:
            return check_card(plain_card(self.top))
        except UserError:
            return None

    def text(self, name: str) -> str:
        return text_of(self.data.get(name))

    def put(self, name: str, value: object) -> None:
        """Set a value, also in the copies of V1's fields that many cards have."""
        self.data[name] = value
        for each in (name, *OLD_NAMES.get(name, ())):
            for holder in (self.top, self.data):
                if each in holder:
                    holder[each] = value

    @property
    def extensions(self) -> dict[str, Any]:
        found = self.data.get("extensions")
        if not isinstance(found, dict):
            found = self.data["extensions"] = {}
        return found


def _fit(whole: _Whole, card: Card) -> None:
    """Make a foreign card say what ours does, and leave alone what says so already."""
    said = whole.read()
    if said == card and MARK not in values_of(whole.data.get("extensions")):
        return
    if isinstance(found := whole.data.get("extensions"), dict):
        found.pop(MARK, None)
    wanted = facts_of(card)
    for _ in range(2):  # what stands in several fields may need a second look
        said = whole.read()
        facts = {} if said is None else facts_of(said)
        for name, write in _WRITE.items():
            if name not in facts or facts[name] != wanted[name]:
                write(whole, card)
    said = whole.read()
    if said is not None and (mark := mark_of(said, card)):
        whole.extensions[MARK] = mark


def _plainly(name: str, value: Callable[[Card], object]) -> Callable[[_Whole, Card], None]:
    return lambda whole, card: whole.put(name, value(card))


def _names(whole: _Whole, card: Card) -> None:
    character = card.characters[0]
    has_nickname = bool(whole.text("nickname")) and bool(character.aliases)
    whole.put("name", character.aliases[0] if has_nickname else character.name)
    if "nickname" in whole.data:
        whole.put("nickname", character.name if has_nickname else "")


def _description(whole: _Whole, card: Card) -> None:
    text = card.characters[0].description
    personality = whole.text("personality")
    own = text.removesuffix(PERSONALITY + personality) if personality else text
    if own == text:
        whole.put("personality", "")
    whole.put("description", own.strip())


def _talkativeness(whole: _Whole, card: Card) -> None:
    value = card.characters[0].talkativeness
    whole.extensions["talkativeness"] = value
    if "talkativeness" in whole.top:
        whole.top["talkativeness"] = value


def _greetings(whole: _Whole, card: Card) -> None:
    name = card.characters[0].name
    opening = next((each for each in card.messages if each.speaker == name), None)
    whole.put("first_mes", opening.text if opening else "")
    whole.put("alternate_greetings", [*opening.versions] if opening else [])
    if "group_only_greetings" in whole.data or (opening and opening.group_versions):
        whole.put("group_only_greetings", [*opening.group_versions] if opening else [])


def _notes(whole: _Whole, card: Card) -> None:
    name = card.characters[0].name
    own = [each for each in card.notes if each.character in (name, "") and each.depth is not None]
    ends = (each for each in own if each == Note(text=each.text, depth=0, character=name))
    last = next(reversed([*ends]), None)  # an import has it after the note at a depth
    deep = next((each for each in own if each is not last), None)
    whole.put("post_history_instructions", last.text if last else "")
    old = values_of(whole.extensions.get("depth_prompt"))
    if deep is not None:
        role = next(role for role, ours in ROLES.items() if ours == deep.role)
        new = {**old, "prompt": deep.text, "depth": deep.depth, "role": role}
        whole.extensions["depth_prompt"] = new
    elif old:
        whole.extensions["depth_prompt"] = {**old, "prompt": ""}


def _lore(whole: _Whole, card: Card) -> None:
    book = whole.data.get("character_book")
    if card.lore or book:
        whole.put("character_book", book_of(card.lore, values_of(book)))


_WRITE: Final[dict[str, Callable[[_Whole, Card], None]]] = {
    "character.name": _names,
    "character.aliases": _names,
    "character.description": _description,
    "character.talkativeness": _talkativeness,
    "character.examples": _plainly("mes_example", lambda card: card.characters[0].examples),
    **{
        ours: _plainly(theirs, lambda card, ours=ours: getattr(card, ours))  # type: ignore[misc]
        for ours, theirs in SCENE_NAMES.items()
    },
    "labels": _plainly("tags", lambda card: [*card.labels]),
    "messages": _greetings,
    "notes": _notes,
    "lore": _lore,
}
"""How a field that says something else here is written."""


def alone(card: Card, number: int) -> Card:
    """Return what a card says of one of its characters.

    Nobody else is in it, above all not the user: who they play is theirs, not the card's.
    """
    own = card.characters[number]
    return replace(
        card,
        characters=(own,),
        notes=tuple(each for each in card.notes if each.character in ("", own.name)),
        messages=tuple(each for each in card.messages if each.speaker == own.name),
    )
