"""Find everything that is wrong with a file's values, each thing as a sentence and its place.

msgspec says whether a value is of its type; the words are our own:

    "n_ctx" must be a whole number of 0 or more, not the text "big"
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import msgspec

from shoritui.text import closest
from shoritui.toml.fields import Field, Fields, Rule, choices_of, expected, item_of, type_parts
from shoritui.toml.line_numbers import KeyPath
from shoritui.toml.read import Problem
from shoritui.toml.wording import nearest, shown


def problems(
    data: Mapping[str, Any],
    fields: Fields,
    path: KeyPath = (),
    kind: str = "field at the top of the file",
) -> Iterator[Problem]:
    """Yield what is wrong with a table: unknown and missing fields, and values of a wrong kind.

    `kind` is what a sentence calls the fields of the outermost table.
    """
    called = f"field of {heading(path)}" if path else kind
    for key, value in data.items():
        if key in fields:
            yield from _field_problems(key, fields[key], value, path)
        else:
            sentence = f"{shown(key)} is not a {called}"
            yield Problem((*path, key), sentence + nearest(key, fields, "it has"))
    misspelt = {closest(key, fields) for key in data if key not in fields}
    for key, field in fields.items():
        if field.is_required and key not in data and key not in misspelt:
            yield Problem(path, _missing(key, field, path))


def heading(path: KeyPath) -> str:
    """Return a table as a person finds it in the file: `[prose]`, `[[character]]`."""
    keys = ".".join(str(key) for key in path if isinstance(key, str))
    is_repeated = bool(path) and isinstance(path[-1], int)
    return f"[[{keys}]]" if is_repeated else f"[{keys}]" if keys else ""


def _missing(key: str, field: Field, path: KeyPath) -> str:
    if field.table is not None and field.type is None:
        name = heading((*path, key, 0) if field.repeated else (*path, key))
        return f"the table {name} is missing; it has {', '.join(field.table)}"
    of = f" of this {heading(path)}" if path else ""
    return f'the "{key}"{of} is missing; it must be {expected(field.type)}'


def _field_problems(key: str, field: Field, value: object, path: KeyPath) -> Iterator[Problem]:
    place = (*path, key)
    if field.table is not None and field.repeated:
        if isinstance(value, list) and all(isinstance(row, dict) for row in value):
            for index, row in enumerate(value):
                yield from problems(row, field.table, (*place, index))
        else:
            sentence = f"write {heading((*place, 0))} in double brackets, once for each one"
            yield Problem(place, sentence)
    elif field.table is not None and isinstance(value, dict):
        yield from problems(value, field.table, place)
    elif field.type is None:
        yield Problem(place, f"{heading(place)} must be a table, not {shown(value, 'the text ')}")
    elif isinstance(value, dict) and get_origin(type_parts(field.type)[0]) is dict:
        yield from _free_problems(type_parts(field.type)[0], value, place)
    else:
        for at, end in _faults(field.type, value, place):
            of = f" of {heading(path)}" if path else ""
            yield Problem(at, f"{shown(key)}{of} must be {expected(field.type)}, {end}")


def _free_problems(hint: Any, value: dict[str, Any], path: KeyPath) -> Iterator[Problem]:
    """Yield what is wrong with a table whose keys are the user's own."""
    key_type, value_type = get_args(hint)
    for key in value:
        for at, end in _faults(key_type, key, (*path, key)):
            yield Problem(at, f"a key of {heading(path)} must be {expected(key_type)}, {end}")
    yield from problems(value, dict.fromkeys(value, Field(value_type)), path)


def _faults(hint: Any, value: object, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Yield each place in a value that does not fit, and the end of the sentence about it."""
    bare, notes = type_parts(hint)
    item = item_of(bare)
    if item is not None and isinstance(value, list | tuple):
        faults = [
            (at, end.replace("but it is", "but one is"))
            for index, each in enumerate(value)
            for at, end in _faults(item, each, (*path, index))
        ]
    else:
        faults = [(path, end) for end in (_misfit(hint, value),) if end]
    yield from faults
    if not faults:
        rules = [note.fault(value) for note in notes if isinstance(note, Rule)]
        yield from ((path, end) for end in rules if end)


def _is_quoted(text: str, hint: Any) -> bool:
    """Return whether a text holds a number, or true or false, that would be right by itself."""
    try:
        return not isinstance(msgspec.convert(msgspec.json.decode(text), hint), str)
    except (msgspec.MsgspecError, RecursionError):
        return False


def _misfit(hint: Any, value: object) -> str:
    """Return how a value misses its type; empty if it does not."""
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        bare, _ = type_parts(hint)
        choices = choices_of(bare)
        if isinstance(value, str) and not value.strip() and (bare is str or choices):
            return "but it is empty"
        if isinstance(value, str) and _is_quoted(value, hint):
            return f"not the text {shown(value)}: write it without quotes"
        guess = nearest(value, map(str, choices)) if isinstance(value, str) else ""
        word = "" if choices or bare is str else "the text "
        return f"not {shown(value, word)}{guess}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"not {value}"
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return "but it holds half a character (a lone surrogate)"
    return ""
