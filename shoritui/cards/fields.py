"""The one table of a card file's fields: checking, writing and the reference all read it.

It does not know how a file is read, nor where in it a field stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shoritui.blockml import LENGTHS

Kind = Literal["text", "name", "names", "tags", "words", "flag", "length"]
TableName = Literal["", "character", "lore", "message"]

EXPECTED: dict[Kind, str] = {
    "text": "a string",
    "name": "a name (one line of at most 60 characters, no colon)",
    "names": "a list of names",
    "tags": "a list of strings without commas or line breaks",
    "words": "a list of strings that are not empty",
    "flag": "true or false",
    "length": f"one of {', '.join(LENGTHS)}",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of one table."""

    key: str
    kind: Kind
    meaning: str
    """What it does, as the reference tells it."""
    required: bool = False
    """True if it must stand in every such table and not be empty."""


TABLES: dict[TableName, tuple[Field, ...]] = {
    "": (
        Field("title", "text", "The story's title. It steers the beginning."),
        Field("tags", "tags", "Words that hint at what the story is about."),
        Field("scenario", "text", "What must still happen."),
    ),
    "character": (
        Field("name", "name", "The label before the colon in messages.", required=True),
        Field("aliases", "names", "Other names people call the character by."),
        Field(
            "description",
            "text",
            "The character card: who this is, in any layout, in novel English.",
        ),
        Field(
            "user",
            "flag",
            "true: you speak as this character unless you choose another. At most one per file.",
        ),
    ),
    "lore": (
        Field("name", "name", "What the piece of background is about.", required=True),
        Field("text", "text", "The background itself.", required=True),
        Field(
            "keys",
            "words",
            "Words that bring the text into the prompt when they come up. "
            "Without keys it is always there.",
        ),
    ),
    "message": (
        Field("speaker", "name", "The name of a character of the cast.", required=True),
        Field("text", "text", "The message, in third person and past tense.", required=True),
        Field("length", "length", "The length hint. Without it: what the text's tokens earn."),
    ),
}

PURPOSES: dict[TableName, str] = {
    "": "The scene (top of the file; everything is optional)",
    "character": "`[[character]]`: one per character, at least one",
    "lore": "`[[lore]]`: background, as many as you like",
    "message": "`[[message]]`: the opening, in order",
}

_EMPTY: dict[Kind, str] = {"flag": "false", "length": "none"}


def heading(table: TableName) -> str:
    """The table as a person finds it in the file."""
    return f"[[{table}]]" if table else "the scene"


def reference() -> str:
    """Every field of a card file as Markdown tables."""
    return "\n\n".join(_section(table) for table in TABLES)


def _section(table: TableName) -> str:
    rows = [
        f"**{PURPOSES[table]}**",
        "",
        "| field | value | default | meaning |",
        "|---|---|---|---|",
    ]
    for field in TABLES[table]:
        default = "required" if field.required else _EMPTY.get(field.kind, "empty")
        rows.append(f"| `{field.key}` | {EXPECTED[field.kind]} | {default} | {field.meaning} |")
    return "\n".join(rows)
