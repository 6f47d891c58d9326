"""A card as plain values and back, named as in its file; also the form the store keeps.

It does not check values (`check` does) and does not know TOML.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from shoritui.cards.model import Card, Character, Lore, Opening
from shoritui.errors import UserError

_VERSION = 1

_Row = TypeVar("_Row", Character, Lore, Opening)


def to_data(card: Card) -> dict[str, Any]:
    """The card's values; what is empty or as by default is left out, and so is the source."""
    data: dict[str, Any] = {
        "title": card.title,
        "tags": list(card.tags),
        "scenario": card.scenario,
        "character": [_to_row(character) for character in card.characters],
        "lore": [_to_row(lore) for lore in card.lore],
        "message": [_to_row(message) for message in card.messages],
    }
    return {key: value for key, value in data.items() if value}


def from_data(data: Mapping[str, Any], source: str = "") -> Card:
    """The card of values that passed the checks; a key it does not know is passed over."""
    return Card(
        title=data.get("title", ""),
        tags=tuple(data.get("tags", ())),
        scenario=data.get("scenario", ""),
        characters=tuple(_from_row(Character, row) for row in data.get("character", ())),
        lore=tuple(_from_row(Lore, row) for row in data.get("lore", ())),
        messages=tuple(_from_row(Opening, row) for row in data.get("message", ())),
        source=source,
    )


def tidied(card: Card) -> Card:
    """The card without the blank space that surrounds its texts in a file."""
    return replace(
        card,
        title=card.title.strip(),
        tags=tuple(tag.strip() for tag in card.tags),
        scenario=card.scenario.strip(),
        characters=tuple(replace(c, description=c.description.strip()) for c in card.characters),
        lore=tuple(
            replace(entry, text=entry.text.strip(), keys=tuple(key.strip() for key in entry.keys))
            for entry in card.lore
        ),
        messages=tuple(replace(message, text=message.text.strip()) for message in card.messages),
    )


def card_to_json(card: Card) -> str:
    """The card, its source included, as versioned JSON in ASCII."""
    return json.dumps({"version": _VERSION, "source": card.source, **to_data(card)})


def card_from_json(text: str) -> Card:
    """The card that `card_to_json` wrote.

    Raises:
        UserError: It is not such a text, or a newer version wrote it.
    """
    try:
        data = json.loads(text)
        version = data["version"]
        if version > _VERSION:
            raise UserError(
                f"A stored scene has format {version}, and this shoritui reads up to {_VERSION}; "
                "update shoritui to open it."
            )
        return from_data(data, data["source"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"A stored scene cannot be read ({error}).") from error


def _to_row(row: Character | Lore | Opening) -> dict[str, Any]:
    values = {field.name: (getattr(row, field.name), field.default) for field in fields(row)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, (value, default) in values.items()
        if value != default
    }


def _from_row(kind: type[_Row], row: Mapping[str, Any]) -> _Row:
    known = {field.name for field in fields(kind)}
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in row.items()
        if key in known
    }
    return kind(**values)
