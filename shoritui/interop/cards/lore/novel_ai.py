"""Lorebooks of NovelAI.

    {"lorebookVersion": 5, "settings": {...}, "categories": [], "entries": [
        {"text": "The fog.", "displayName": "Fog", "keys": ["fog"], "enabled": true,
         "forceActivation": false, "searchRange": 1000, "contextConfig": {"budgetPriority": 400}}]}

A key between slashes is a pattern. `searchRange` counts letters, so it has no counterpart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shoritui.cards import Lore
from shoritui.interop.cards.lore.form import Entry, Form, first_name, is_key, starred, unstarred
from shoritui.interop.cards.values import (
    Values,
    is_no,
    is_yes,
    text_of,
    texts_of,
    unused,
    values_of,
    whole,
)

_EVER: Final = 1_000_000
_USED: Final = frozenset(
    {"text", "displayName", "keys", "enabled", "forceActivation", "extensions"}
)
_SILENT: Final = {
    "id", "lastUpdatedAt", "searchRange", "category", "hidden", "loreBiasGroups",
    "contextConfig",
}  # fmt: skip
_PRIORITY: Final = "budgetPriority"


def _read(entry: Values, number: int, _: Values) -> Lore:
    keys = starred(filter(is_key, texts_of(entry.get("keys"))))
    is_constant = is_yes(entry.get("forceActivation"))
    config = values_of(entry.get("contextConfig"))
    return Lore(
        name=first_name(number, entry.get("displayName"), *texts_of(entry.get("keys"))[:1]),
        text=text_of(entry.get("text")),
        keys=() if is_constant else keys,
        enabled=not is_no(entry.get("enabled")) and (is_constant or bool(keys)),
        order=whole(config.get(_PRIORITY), -_EVER, _EVER, 400),
    )


def _left(entry: Values) -> Iterator[str]:
    if not all(map(is_key, texts_of(entry.get("keys")))):
        yield "keys that are no pattern"
    yield from unused(entry, _USED | _SILENT)


def _write_keys(entry: Entry, lore: Lore) -> None:
    entry["forceActivation"] = not lore.keys
    if lore.keys:
        entry["keys"] = unstarred(lore.keys)


def _write_enabled(entry: Entry, lore: Lore) -> None:
    entry["enabled"] = lore.enabled
    _write_keys(entry, lore)


def _write_order(entry: Entry, lore: Lore) -> None:
    entry["contextConfig"] = {**values_of(entry.get("contextConfig")), _PRIORITY: lore.order}


def _is_book(found: object) -> bool:
    values = values_of(found)
    return "lorebookVersion" in values and isinstance(values.get("entries"), list)


NOVEL_AI: Final = Form(
    name="novelai",
    kind="novelai",
    summary="a lorebook of NovelAI",
    is_book=_is_book,
    path=("entries",),
    read=_read,
    left=_left,
    write={
        "name": lambda entry, lore: entry.update(displayName=lore.name),
        "text": lambda entry, lore: entry.update(text=lore.text),
        "keys": _write_keys,
        "enabled": _write_enabled,
        "order": _write_order,
    },
    blank=lambda _: {
        "text": "",
        "displayName": "",
        "keys": [],
        "searchRange": 1000,
        "enabled": True,
        "forceActivation": False,
        "contextConfig": {"suffix": "\n", _PRIORITY: 400},
    },
    new=lambda _: {
        "lorebookVersion": 5,
        "entries": [],
        "settings": {"orderByKeyLocations": False},
        "categories": [],
    },
    used=_USED,
)
