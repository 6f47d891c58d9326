"""The fields of a card file, as it is checked, written and explained."""

from __future__ import annotations

from typing import Final

from shoritui.cards.model import Card, Character, Lore, Note, Opening
from shoritui.cards.plain import KEYS
from shoritui.toml import Fields, expected, fields_of, meanings_of

FIELDS: Final[Fields] = {
    KEYS.get(name, name): field for name, field in fields_of(Card).items() if name != "source"
}

_SECTIONS: Final[dict[type, tuple[str, Fields]]] = {
    Card: ("The scene (top of the file; everything is optional)", FIELDS),
    Character: ("`[[character]]`: one per character, at least one", fields_of(Character)),
    Lore: ("`[[lore]]`: background, as many as you like", fields_of(Lore)),
    Note: ("`[[note]]`: instructions that a story begins with", fields_of(Note)),
    Opening: ("`[[message]]`: the opening, in order", fields_of(Opening)),
}


def reference() -> str:
    """Return every field of a card file as Markdown tables."""
    return "\n\n".join(map(_section, _SECTIONS))


def _section(record: type) -> str:
    purpose, fields = _SECTIONS[record]
    rows = [f"**{purpose}**", "", "| field | value | default | meaning |", "|---|---|---|---|"]
    for key, field in fields.items():
        if field.table is None:
            default = "required" if field.is_required else _default(field.default)
            meaning = meanings_of(record)[key]
            rows.append(f"| `{key}` | {expected(field.type)} | {default} | {meaning} |")
    return "\n".join(rows)


def _default(value: object) -> str:
    if value in ("", ()):
        return "empty"
    return str(value).lower() if value is None or isinstance(value, bool) else f"`{value}`"
