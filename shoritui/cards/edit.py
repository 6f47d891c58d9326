"""A card's values written into TOML text, around the comments and the layout that are there.

It does not check values and does not know files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping
from typing import Any, TypeAlias

import tomlkit
from tomlkit.items import AoT, String, StringType, Table, Trivia

from shoritui.cards.fields import TABLES, Field, TableName

_Values: TypeAlias = dict[str, Any]

_MISSING = object()
_CLOSING = re.compile(r'"(?=""|\Z)')  # quotes that would end a string in three quotes


def edited(text: str, data: _Values) -> str:
    """The TOML `text` changed in nothing but what makes it hold `data`.

    Raises:
        ValueError: The text is not TOML.
    """
    document = tomlkit.parse(text)
    _write_fields(document, "", data)
    for table in TABLES:
        if table:
            _write_rows(document, table, data.get(table, []))
    return tomlkit.dumps(document).strip("\n") + "\n"


def _write_rows(document: tomlkit.TOMLDocument, table: TableName, wanted: list[_Values]) -> None:
    array = document.get(table)
    old = list(array.body) if isinstance(array, AoT) else []
    rows = _matched(old, wanted)
    for row, values in zip(rows, wanted, strict=True):
        _write_fields(row, table, values)
    if [id(row) for row in rows] == [id(row) for row in old]:
        return
    if not rows:
        del document[table]
        return
    for row in rows:
        if not row.as_string().endswith("\n\n"):
            row.add(tomlkit.nl())
    if array is not None and not isinstance(array, AoT):
        del document[table]  # an inline list, which stands among the top fields
    document[table] = AoT(rows, parsed=True)


def _write_fields(row: MutableMapping[str, Any], table: TableName, wanted: _Values) -> None:
    for field in TABLES[table]:
        value = wanted.get(field.key, _MISSING)
        present = _plain(row.get(field.key))
        if value is _MISSING:
            if present:
                del row[field.key]
        elif present != value:
            row[field.key] = _item(field, value)


def _matched(old: list[Table], wanted: list[_Values]) -> list[Table]:
    """For each wanted row the old one to write it into: the same one, its namesake, or a new one.

    A row that was renamed keeps its comments: it takes the first old row that nobody claims.
    """
    tests: tuple[Callable[[Table, _Values], bool], ...] = (
        lambda row, values: all(_plain(row.get(key)) == value for key, value in values.items()),
        lambda row, values: "name" in values and row.get("name") == values["name"],
        lambda row, values: True,
    )
    free = list(old)
    chosen: dict[int, Table] = {}
    for test in tests:
        for index, values in enumerate(wanted):
            match = next((row for row in free if test(row, values)), None)
            if index not in chosen and match is not None:
                chosen[index] = match
                free = [row for row in free if row is not match]
    return [chosen[index] if index in chosen else tomlkit.table() for index in range(len(wanted))]


def _plain(item: Any) -> Any:
    """An item's value as the loader would read it."""
    value = item.unwrap() if hasattr(item, "unwrap") else item
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.strip() if isinstance(value, str) else value


def _item(field: Field, value: Any) -> Any:
    if isinstance(value, list):
        array = tomlkit.array()
        for each in value:
            array.append(_string(each))
        return array
    if isinstance(value, str):
        return _string(value, tall=field.kind == "text" and _is_tall(value))
    return tomlkit.item(value)


def _is_tall(text: str) -> bool:
    return len(text) > 72 or "\n" in text or '"' in text


def _string(value: str, *, tall: bool = False) -> String:
    """A TOML string in double quotes; a tall one begins on a line of its own."""
    written = "".join(_escaped(character) for character in value)
    if not tall:
        written = written.replace('"', '\\"').replace("\n", "\\n")
        return String(StringType.SLB, value, written, Trivia())
    written = _CLOSING.sub('\\\\"', written)
    return String(StringType.MLB, value, f"\n{written}", Trivia())


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if (character < " " and character != "\n") or character == "\x7f":
        return f"\\u{ord(character):04x}"
    return character
