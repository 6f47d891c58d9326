"""What a card of ours holds and a foreign one has no field for, kept in the foreign one.

It stands under `extensions.shoritui`, field by field, with what the foreign card itself says of it.
If that says something else later, somebody has changed it there, and that counts:

    {"fields": {"title": ["", "The last ferry"], "character.speaks": ["freely", "never"]}}
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from shoritui.bounded import read_json
from shoritui.cards import Card, check_card
from shoritui.errors import UserError
from shoritui.interop.cards.values import Values, values_of
from shoritui.text import clean

MARK: Final = "shoritui"
_OF_CHARACTER: Final = "character."
_CAST: Final = "cast"
"""Everybody but the first character."""


def facts_of(card: Card) -> dict[str, Any]:
    """Return what a card holds as JSON has it, each field of its first character on its own."""
    facts = read_json(json.dumps(msgspec.to_builtins(card)))
    del facts["source"]
    first, *rest = facts.pop("characters") or [{}]
    own = {_OF_CHARACTER + name: value for name, value in first.items()}
    return {**facts, **own, _CAST: rest}


def mark_of(said: Card, card: Card) -> dict[str, Any]:
    """Return what a card holds beyond what a foreign one says of it; nothing if that is all."""
    was, now = facts_of(said), facts_of(card)
    fields = {name: [was[name], now[name]] for name in now if was[name] != now[name]}
    return {"fields": fields} if fields else {}


def restored(card: Card, mark: object) -> Card:
    """Return what a foreign card says, and what stands in its mark where it still says the same."""
    was = facts_of(card)
    now = {
        name: _cleaned(pair[1])
        for name, pair in values_of(values_of(mark).get("fields")).items()
        if name in was and isinstance(pair, list) and len(pair) == 2 and pair[0] == was[name]
    }
    try:
        return check_card(_card_of({**was, **now})) if now else card
    except (UserError, msgspec.ValidationError, TypeError):
        return card  # nobody but we should have written it, and we did not write this


def _card_of(facts: Values) -> Card:
    first = {
        name.removeprefix(_OF_CHARACTER): value
        for name, value in facts.items()
        if name.startswith(_OF_CHARACTER)
    }
    rest = {name: value for name, value in facts.items() if not name.startswith(_OF_CHARACTER)}
    return msgspec.convert({**rest, "characters": [first, *rest.pop(_CAST)]}, Card)


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return clean(value)
        case list():
            return [_cleaned(each) for each in value]
        case dict():
            return {key: _cleaned(each) for key, each in value.items()}
    return value
