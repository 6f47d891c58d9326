"""Values out of foreign JSON: whatever stands there, the wanted type comes out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from math import isfinite
from typing import Any, TypeAlias

from shoritui.blockml import check_name
from shoritui.text import clean, one_line, printable

Values: TypeAlias = Mapping[str, Any]


def values_of(value: object) -> Values:
    """Return an object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def is_yes(value: object) -> bool:
    """Return whether a value is true, in whatever way it is written."""
    return value in (True, "true")


def is_no(value: object) -> bool:
    """Return whether a value is false, in whatever way it is written."""
    return value in (False, "false")


def text_of(value: object) -> str:
    """Return a text that can be kept; an empty one for anything else."""
    return clean(value).strip() if isinstance(value, str) else ""


def texts_of(value: object) -> tuple[str, ...]:
    """Return the texts of a list, or between commas, each once; without the empty ones."""
    rows = value.split(",") if isinstance(value, str) else value
    return tuple(dict.fromkeys(filter(None, map(text_of, rows if isinstance(rows, list) else []))))


def whole(value: object, least: int, most: int, default: int) -> int:
    """Return a whole number within its limits; `default` for anything else."""
    found = number(value, least, most)
    return default if found is None else int(found)


def number(value: object, least: float, most: float) -> float | None:
    """Return a number (also one written as text) within its limits; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    with suppress(ValueError, OverflowError):
        found = float(value)
        return min(max(found, least), most) if isfinite(found) else None
    return None


def name_of(value: object) -> str:
    """Return a name that can stand before a message, as near as can be; empty if there is none."""
    line = one_line(value) if isinstance(value, str) else ""
    words = line.translate(dict.fromkeys(map(ord, ":▀▄"), " ")).split()
    name = " ".join(words)[:60].strip()
    try:
        return check_name(name)
    except ValueError:
        return ""


def unused(values: Values, used: Collection[str]) -> Iterator[str]:
    """Yield the names of the values that are not used and say something."""
    for name, value in values.items():
        if name not in used and _says(value):
            yield printable(name, 40)


def _says(value: object) -> bool:
    """Return whether a value is anything but empty, no, or nothing, at one level of depth."""
    rows = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return any(map(bool, rows)) if isinstance(value, dict | list) else bool(value)
