"""Write a card's values into TOML text, around the comments and the layout that are there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, MutableMapping
from typing import Any, TypeAlias

import tomlkit
from tomlkit.items import AoT, Item, Table

from shoritui.cards.fields import FIELDS
from shoritui.toml import Fields, quoted

_Values: TypeAlias = dict[str, Any]

_MISSING = object()
_SHORT = ("name", "speaker")  # are never written over several lines


def edited(text: str, data: _Values) -> str:
    """Return the TOML `text` changed in nothing but what makes it hold `data`."""
    document = tomlkit.parse(text)
    _write_fields(document, FIELDS, data)
    for key, field in FIELDS.items():
        if field.table:
            _write_rows(document, key, field.table, data.get(key, []))
    return tomlkit.dumps(document).strip("\n") + "\n"


def _write_rows(
    document: tomlkit.TOMLDocument, table: str, fields: Fields, wanted: list[_Values]
) -> None:
    array = document.get(table)
    old = list(array.body) if isinstance(array, AoT) else []
    rows = _matched(old, wanted)
    for row, values in zip(rows, wanted, strict=True):
        _write_fields(row, fields, values)
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


def _write_fields(row: MutableMapping[str, Any], fields: Fields, wanted: _Values) -> None:
    for key, field in fields.items():
        if field.table:
            continue
        value = wanted.get(key, _MISSING)
        present = _plain(row.get(key))
        if value is _MISSING:
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            if key in row and present != default:
                del row[key]
        elif present != value:
            row[key] = _item(key, value)


def _matched(old: list[Table], wanted: list[_Values]) -> list[Table]:
    """Return for each wanted row what to write it into: the same row, its namesake, or a new one.

    A row that was renamed keeps its comments: it takes the first old row that nobody claims.
    """
    free: dict[object, dict[int, _Values]] = defaultdict(dict)
    """The rows that nobody claims, by what they are known by."""
    for number, row in enumerate(old):
        values = {key: _plain(row[key]) for key in row}
        free[_known_by(values)][number] = values
    chosen: dict[int, Table] = {}
    tests: tuple[Callable[[_Values, _Values], bool], ...] = (
        lambda row, values: all(row.get(key) == value for key, value in values.items()),
        lambda row, values: "name" in values and row.get("name") == values["name"],
    )
    for test in tests:
        for index, values in enumerate(wanted):
            rows = free[_known_by(values)]
            found = next((at for at, row in rows.items() if test(row, values)), None)
            if index not in chosen and found is not None:
                del rows[found]
                chosen[index] = old[found]
    rest = iter(sorted(number for rows in free.values() for number in rows))
    for index in range(len(wanted)):
        if index not in chosen:
            unclaimed = next(rest, None)
            chosen[index] = tomlkit.table() if unclaimed is None else old[unclaimed]
    return [chosen[index] for index in range(len(wanted))]


def _known_by(values: _Values) -> object:
    """Return what a row is looked for by; rows that are alike have the same."""
    return values.get("name") or values.get("text") or None


def _plain(item: Any) -> Any:
    """Return an item's value as the loader would read it."""
    value = item.unwrap() if hasattr(item, "unwrap") else item
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.strip() if isinstance(value, str) else value


def _item(key: str, value: Any) -> Item:
    if isinstance(value, list):
        # As one text: each item that is added to an array costs as much as all before it.
        items = ", ".join(quoted(each, tall=_is_tall(each)) for each in value)
        array = tomlkit.array(f"[{items}]")
        return array.multiline(any(map(_is_tall, value)))
    if isinstance(value, str):
        return tomlkit.value(quoted(value, tall=key not in _SHORT and _is_tall(value)))
    item: Item = tomlkit.item(value)
    return item


def _is_tall(text: str) -> bool:
    return len(text) > 72 or "\n" in text or '"' in text
