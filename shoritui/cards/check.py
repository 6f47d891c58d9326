"""What is wrong with a card's values, each thing as one sentence and the place it concerns.

It does not know files: a place is a path of keys, and `places` tells where that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from shoritui.blockml import LENGTHS, check_name, clean
from shoritui.cards.fields import EXPECTED, TABLES, Field, TableName, heading
from shoritui.places import Path
from shoritui.sheets import Problem, kind_of, nearest

Data: TypeAlias = Mapping[str, Any]
"""A card as plain values, shaped and named as in its file."""


def field_problems(data: Data) -> Iterator[Problem]:
    """Unknown and missing fields, and values that no field of that name may have."""
    rows = [table for table in TABLES if table]
    yield from _table_problems("", data, (), extra=rows)
    for table in rows:
        value = data.get(table, [])
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            yield Problem((table,), f"write [[{table}]] in double brackets, once for each one")
            continue
        for index, row in enumerate(value):
            yield from _table_problems(table, row, (table, index))


def cast_problems(data: Data, elsewhere: Mapping[str, str] | None = None) -> Iterator[Problem]:
    """What fits no cast: nobody in it, two of one name, two users, a speaker it lacks.

    `data` must be free of field problems; `elsewhere` maps each character that other files
    bring to the file it is in.
    """
    elsewhere = elsewhere or {}
    characters = data.get("character", [])
    if not characters and not elsewhere:
        yield Problem((), "there is no [[character]] here, and a card needs at least one")
    yield from _name_clashes(characters, elsewhere)
    yield from _second_users(characters)
    cast = [*(row["name"] for row in characters), *elsewhere]
    for index, row in enumerate(data.get("message", [])):
        speaker = row["speaker"]
        if speaker not in cast:
            sentence = f'the speaker "{speaker}" is not in the cast'
            path = ("message", index, "speaker")
            yield Problem(path, sentence + nearest(speaker, cast, "it has"))


def _name_clashes(
    characters: list[dict[str, Any]], elsewhere: Mapping[str, str]
) -> Iterator[Problem]:
    """Names that differ in nothing but capitals clash too: no reader could tell them apart."""
    taken = {name.casefold(): f"also a character of {file}" for name, file in elsewhere.items()}
    for index, row in enumerate(characters):
        name = row["name"]
        where = taken.setdefault(name.casefold(), "")
        if where:
            yield Problem(("character", index, "name"), f'"{name}" is {where}; rename one of them')
        taken[name.casefold()] = "already the name of a character"


def _second_users(characters: list[dict[str, Any]]) -> Iterator[Problem]:
    users = [index for index, row in enumerate(characters) if row.get("user")]
    for index in users[1:]:
        first = characters[users[0]]["name"]
        sentence = f'only one character can have user = true, and "{first}" has it already'
        yield Problem(("character", index, "user"), sentence)


def _table_problems(
    table: TableName, row: Data, path: Path, extra: Iterable[str] = ()
) -> Iterator[Problem]:
    fields = {field.key: field for field in TABLES[table]}
    known = [*fields, *extra]
    for key, value in row.items():
        if key in fields:
            yield from _value_problems(table, fields[key], value, (*path, key))
        elif key not in known:
            sentence = f'"{key}" is not a field of {heading(table)}'
            yield Problem((*path, key), sentence + nearest(key, known, "it has"))
    for field in fields.values():
        if field.required and field.key not in row:
            sentence = f'the "{field.key}" of this {heading(table)} is missing; it should be'
            yield Problem(path, f"{sentence} {EXPECTED[field.kind]}")


def _value_problems(table: TableName, field: Field, value: object, path: Path) -> Iterator[Problem]:
    place = f'"{field.key}" of {heading(table)} should be {EXPECTED[field.kind]}'
    if field.kind in ("names", "tags", "words") and isinstance(value, list):
        for index, item in enumerate(value):
            if wrong := _wrong_text(field, item):
                yield Problem((*path, index), f"{place}, {wrong}")
    elif wrong := _wrong(field, value):
        yield Problem(path, f"{place}, {wrong}")


def _wrong(field: Field, value: object) -> str:
    """How the value misses what the field expects; empty if it does not."""
    match field.kind:
        case "flag":
            return "" if isinstance(value, bool) else _not(value)
        case "length":
            if not isinstance(value, str):
                return _not(value)
            return "" if value in LENGTHS else f'not "{value[:40]}"{nearest(value, LENGTHS, "")}'
        case "names" | "tags" | "words":
            return _not(value)
        case _:
            return _wrong_text(field, value)


def _wrong_text(field: Field, value: object) -> str:
    if not isinstance(value, str):
        return _not(value)
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "but it holds half a character (a lone surrogate)"
    if field.kind in ("name", "names"):
        return _wrong_name(value)
    if not value.strip():
        return "but it is empty" if field.required or field.kind != "text" else ""
    if field.kind == "tags" and ("," in value or "\n" in value):
        return f'not "{value[:40]}"'
    return ""


def _wrong_name(name: str) -> str:
    shown = f'not "{name[:40]}"'
    try:
        check_name(name)
    except ValueError as error:
        return f"{shown} ({error})" if name else "but it is empty"
    return "" if clean(name) == name else f"{shown} (it holds invisible control characters)"


def _not(value: object) -> str:
    return f"not {kind_of(value)}"
