"""What is wrong with a config's values, each thing as one sentence and the place it concerns.

It does not know files: a place is a path of keys, and `places` tells where that is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING
from typing import Any, Final

from shoritui.blockml import LENGTHS, BlockMLError, check_name, parse
from shoritui.finetune.config.fields import (
    RECORDS,
    REPEATED,
    Field,
    TableName,
    all_fields,
    heading,
)
from shoritui.finetune.config.where import WhereError, parse_where
from shoritui.places import Path
from shoritui.sheets import Problem, kind_of, nearest

_TIER_NAME: Final = re.compile(r"[^\W_][\w.-]{0,59}")
_NOT_FOLDERS: Final = {"con", "prn", "aux", "nul"} | {
    f"{name}{n}" for name in ("com", "lpt") for n in range(10)
}


def problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that is wrong with a config, shaped and named as in its file."""
    found = list(_field_problems(data))
    yield from found
    if not found:
        yield from _sense_problems(data)


def _field_problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Unknown and missing fields, and values that no field of that name may have."""
    tables = [table for table in RECORDS if table]
    shallow = {key: data[key] for key in data if key not in tables or _is_base_word(key, data[key])}
    yield from _table_problems("", shallow, (), tables)
    for table in tables:
        if table not in data or table in shallow:
            continue
        value = data[table]
        if table not in REPEATED:
            if isinstance(value, dict):
                yield from _table_problems(table, value, (table,))
            else:
                yield Problem((table,), f"[{table}] should be a table, not {kind_of(value)}")
        elif isinstance(value, list) and all(isinstance(row, dict) for row in value):
            for index, row in enumerate(value):
                yield from _table_problems(table, row, (table, index))
        else:
            yield Problem((table,), f"write [[{table}]] in double brackets, once for each one")


def _is_base_word(key: str, value: object) -> bool:
    return key == "base" and not isinstance(value, dict)


def _table_problems(
    table: TableName, row: Mapping[str, Any], path: Path, tables: Sequence[str] = ()
) -> Iterator[Problem]:
    known = all_fields(table)
    for key, value in row.items():
        if key in known:
            yield from _value_problems(table, known[key], value, (*path, key))
        elif key == "base" and not table:
            if not isinstance(value, str) or not value.strip():
                sentence = 'base should be a folder, a hub id, a GGUF file or "demo"'
                yield Problem((key,), f"{sentence}, {_not(value)}")
        else:
            sentence = f'"{key}" is not a field of {heading(table)}'
            yield Problem((*path, key), sentence + nearest(key, [*known, *tables], "it has"))
    for field in known.values():
        if field.default is MISSING and field.key not in row:
            sentence = f'the "{field.key}" of this {heading(table)} is missing; it should be'
            yield Problem(path, f"{sentence} {field.expected}")


def _value_problems(table: TableName, field: Field, value: object, path: Path) -> Iterator[Problem]:
    place = f'"{field.key}" of {heading(table)} should be {field.expected}'
    if field.kind not in ("texts", "wholes", "choices"):
        if not _fits(field, value):
            yield Problem(path, f"{place}, {_not(value)}{_nearest_choice(field, value)}")
    elif not isinstance(value, list):
        yield Problem(path, f"{place}, {_not(value)}")
    else:
        for index, item in enumerate(value):
            if not _fits(field, item):
                wrong = f"{_not(item)}{_nearest_choice(field, item)}"
                yield Problem((*path, index), f"{place}, {wrong}")


def _fits(field: Field, value: object) -> bool:
    """Whether the value, or the item of a list, is one that the field may hold."""
    match field.kind:
        case "text":
            # What has no default must say something.
            return isinstance(value, str) and (field.default is not MISSING or bool(value.strip()))
        case "texts":
            return isinstance(value, str) and bool(value.strip())
        case "flag":
            return isinstance(value, bool)
        case "choice" | "choices":
            return isinstance(value, str) and value in field.choices
        case "whole" | "wholes" | "number":
            numbers = int | float if field.kind == "number" else int
            if isinstance(value, bool) or not isinstance(value, numbers):
                return False
            return field.limits is None or field.limits.hold(value)


def _nearest_choice(field: Field, value: object) -> str:
    if not field.choices or not isinstance(value, str):
        return ""
    guess = nearest(value, field.choices, "")
    return guess if guess.endswith("?") else ""


def _not(value: object) -> str:
    match value:
        case bool() | list() | dict():
            return f"not {kind_of(value)}"
        case str():
            return f'not "{value[:40]}"' if value.strip() else "but it is empty"
        case int() | float():
            return f"not {str(value)[:40]}"
        case _:
            return f"not {kind_of(value)}"


def _sense_problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """What each field allows, but nobody could train with. There are no field problems."""
    base = data.get("base")
    if isinstance(base, dict) and not base.get("model", "x").strip():
        yield Problem(("base", "model"), "the model of [base] is empty")
    if not data.get("output", "x").strip():
        yield Problem(("output",), "the output folder is empty; name one, or leave it out")
    yield from _hint_problems(data.get("data", {}), ("data",))
    yield from _prompt_problems(data.get("prompt", []))
    tiers = data.get("tier", [])
    if not tiers:
        yield Problem((), "there is no [[tier]] here, and a config needs at least one")
    yield from _tier_problems(tiers)


def _tier_problems(tiers: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    names: list[str] = []
    for index, row in enumerate(tiers):
        path, name = ("tier", index), row["name"]
        if not is_tier_name(name):
            sentence = "should be letters, digits, dots, dashes and underscores, since it names"
            yield Problem(
                (*path, "name"), f"the name of a [[tier]] {sentence} a folder, {_not(name)}"
            )
        elif name.casefold() in (other.casefold() for other in names):
            yield Problem((*path, "name"), f'"{name}" is already the name of a tier; rename one')
        after = row.get("after", "")
        if after and after not in names:
            if after in (other["name"] for other in tiers[index:]):
                wrong = f'should come after a tier above it, and "{after}" is not above'
                yield Problem((*path, "after"), f'the tier "{name}" {wrong}')
            else:
                sentence = f'there is no tier "{after}" above for "{name}" to come after'
                yield Problem((*path, "after"), sentence + nearest(after, names, "there are"))
        names.append(name)
        if not row["data"]:
            yield Problem((*path, "data"), f'the tier "{name}" names no data; list its files')
        try:
            parse_where(row.get("where", ""))
        except WhereError as error:
            yield Problem((*path, "where"), f'the "where" of the tier "{name}": {error}')
        yield from _hint_problems(row, path)


def is_tier_name(name: str) -> bool:
    """Whether a folder of this name can be made anywhere, and nowhere else than meant."""
    is_device = name.partition(".")[0].casefold() in _NOT_FOLDERS
    return bool(_TIER_NAME.fullmatch(name)) and not name.endswith(".") and not is_device


def _hint_problems(row: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    limits = row.get("hint_limits", [])
    if limits and (len(limits) != len(LENGTHS) - 1 or limits != sorted(set(limits))):
        sentence = f"should be {len(LENGTHS) - 1} rising numbers, of {LENGTHS[0]} to {LENGTHS[-2]}"
        yield Problem((*path, "hint_limits"), f'"hint_limits" {sentence}')


def _prompt_problems(prompts: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    names: list[str] = []
    for index, row in enumerate(prompts):
        path = ("prompt", index)
        if row["name"] in names:
            yield Problem((*path, "name"), f'"{row["name"]}" is already the name of a prompt')
        names.append(row["name"])
        try:
            check_name(row["speaker"])
        except ValueError as error:
            yield Problem((*path, "speaker"), f'the speaker "{row["speaker"][:40]}": {error}')
        try:
            parse(row["text"])
        except BlockMLError as error:
            yield Problem((*path, "text"), f"the text of a prompt should be BlockML: {error}")
