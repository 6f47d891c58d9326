"""A card as plain values and back, named as in its file; also the form the library keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

import msgspec

from shoritui.bounded import misfit, read_json
from shoritui.cards.model import Card, Character, Lore
from shoritui.errors import UserError
from shoritui.text import composed

_VERSION: Final = 1
KEYS: Final = {"characters": "character", "messages": "message", "notes": "note"}
"""The fields of a `Card` that have another key in a file."""
_NAMES: Final = ("name", "aliases", "speaker", "character")


class _Named(msgspec.Struct):
    name: str


class _Listed(msgspec.Struct):
    """What a list of chats shows of a stored card, and what no stored card is without."""

    version: int
    source: str
    character: tuple[_Named, ...] = ()


_LISTED: Final = msgspec.json.Decoder(_Listed)
_FIELDS: Final = {key: field for field, key in KEYS.items()}


def to_data(card: Card) -> dict[str, Any]:
    """Return the card's values but its source; what is empty or as by default is left out."""
    values = _plain(replace(card, source=""))
    return {KEYS.get(field, field): value for field, value in values.items()}


def from_data(data: Mapping[str, Any], source: str = "") -> Card:
    """Return the card of values that passed the checks; an unknown key is passed over."""
    values = {_FIELDS.get(key, key): value for key, value in data.items()}
    return msgspec.convert({**values, "source": source}, Card)


def tidied(card: Card) -> Card:
    """Return the card without the blank space around its texts, every name in its normal form."""
    return from_data(_stripped(to_data(card)), card.source)


def card_to_json(card: Card) -> str:
    """Return the card, its source included, as versioned JSON in ASCII."""
    return json.dumps({"version": _VERSION, "source": card.source, **to_data(card)})


def card_from_json(text: str) -> Card:
    """Return the card that `card_to_json` wrote; `UserError` if a newer version did, or none."""
    try:
        data = read_json(text)
        version = data.get("version") if isinstance(data, dict) else None
        if type(version) is not int:
            raise UserError("A stored scene cannot be read: its format has no number.")
        if version > _VERSION:
            raise UserError(
                f"A stored scene has format {version}, and this version reads up to {_VERSION}; "
                "update shoritui to open it."
            )
        return from_data(data, data["source"])
    except (ValueError, TypeError, KeyError, RecursionError, msgspec.ValidationError) as error:
        raise UserError(f"A stored scene cannot be read ({misfit(error)}).") from error


def cast_from_json(text: str) -> tuple[str, ...]:
    """Return the cast's names of a card that `card_to_json` wrote, without reading all of it.

    What is found to be wrong is told as by `card_from_json`.
    """
    try:
        found = _LISTED.decode(text)
        if found.version <= _VERSION:
            return tuple(each.name for each in found.character)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    return tuple(each.name for each in card_from_json(text).characters)


def fingerprint(card: Card) -> str:
    """Return a short text that is another for a card that holds anything else."""
    return hashlib.sha256(json.dumps(to_data(card)).encode()).hexdigest()[:16]


def differences(old: Card, new: Card) -> Iterator[str]:
    """Yield what a new card has that differs from an old one: `title`, `Mara`, `the opening`."""
    names = {
        **{"title": "title", "tags": "tags", "scenario": "scenario", "instruction": "instruction"},
        **{"notes": "the notes", "messages": "the opening"},
    }
    for field, name in names.items():
        if getattr(old, field) != getattr(new, field):
            yield name
    yield from _changed(old.characters, new.characters)
    yield from _changed(old.lore, new.lore)


def _changed(before: Sequence[Character | Lore], after: Sequence[Character | Lore]) -> list[str]:
    were, are = ({each.name: each for each in part} for part in (before, after))
    return [name for name in {**were, **are} if were.get(name) != are.get(name)]


def _plain(value: Any) -> Any:
    """Return a card or a part of one as TOML and JSON have it."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if not is_dataclass(value):
        return value
    found = {field.name: (getattr(value, field.name), field.default) for field in fields(value)}
    return {name: _plain(own) for name, (own, default) in found.items() if own != default}


def _stripped(value: Any, key: str = "") -> Any:
    match value:
        case str():
            return composed(value.strip()) if key in _NAMES else value.strip()
        case list():
            return [_stripped(each, key) for each in value]
        case dict():
            return {key: _stripped(each, key) for key, each in value.items()}
    return value
