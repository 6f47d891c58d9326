"""Find what fits no cast: nobody in it, two of one name, two users, a speaker it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from shoritui.names import fold
from shoritui.text import composed
from shoritui.toml import Problem, nearest

Data: TypeAlias = Mapping[str, Any]
"""A card as plain values, shaped and named as in its file."""


def cast_problems(data: Data, elsewhere: Mapping[str, str] | None = None) -> Iterator[Problem]:
    """Yield what is wrong with the cast of a card whose fields are right.

    `elsewhere` maps each character that other files bring to the file it is in.
    """
    elsewhere = elsewhere or {}
    characters = data.get("character", [])
    if not characters and not elsewhere:
        yield Problem((), "there is no [[character]]; a scene's cards together need at least one")
    yield from _name_clashes(characters, elsewhere)
    yield from _second_users(characters)
    cast = [*(row["name"] for row in characters), *elsewhere]
    known = {composed(name) for name in cast}
    for table, key in (("note", "character"), ("message", "speaker")):
        for index, row in enumerate(data.get(table, [])):
            name = row.get(key)
            if name is not None and composed(name) not in known:
                sentence = f'the {key} "{name}" is not in the cast'
                yield Problem((table, index, key), sentence + nearest(name, cast, "it has"))


def _name_clashes(
    characters: list[dict[str, Any]], elsewhere: Mapping[str, str]
) -> Iterator[Problem]:
    """Yield clashing names, also those that people read alike, such as in other capitals."""
    taken = {fold(name): f"also a character of {file}" for name, file in elsewhere.items()}
    for index, row in enumerate(characters):
        name = row["name"]
        where = taken.setdefault(fold(name), "")
        if where:
            yield Problem(("character", index, "name"), f'"{name}" is {where}; rename one of them')
        taken[fold(name)] = "already the name of a character"


def _second_users(characters: list[dict[str, Any]]) -> Iterator[Problem]:
    users = [index for index, row in enumerate(characters) if row.get("user")]
    for index in users[1:]:
        first = characters[users[0]]["name"]
        sentence = f'only one character can have user = true, and "{first}" has it already'
        yield Problem(("character", index, "user"), sentence)
