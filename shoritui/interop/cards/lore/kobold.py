"""World info of KoboldAI Lite, a list of its own or inside a save.

    {"worldinfo": [{"key": "fog, mist", "keysecondary": "night", "keyanti": "", "selective": true,
                    "content": "The fog.", "comment": "Fog", "constant": false,
                    "probability": 100, "wigroup": "Sea", "widisabled": false, "folder": null}]}

Keys are also found inside words. With `selective`, one of `keysecondary` must come up as well, and
none of `keyanti`. A group is only a page of the list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shoritui.cards import Lore
from shoritui.interop.cards.lore.form import Entry, Form, first_name, is_key, starred, unstarred
from shoritui.interop.cards.values import (
    Values,
    is_yes,
    text_of,
    texts_of,
    unused,
    values_of,
    whole,
)

_USED: Final = frozenset(
    {"key", "keysecondary", "keyanti", "content", "comment", "constant", "selective"}
    | {"probability", "widisabled"}
)
_SILENT: Final = {"wigroup", "folder", "num", "init", "uid", "extensions"}


def _keys(value: object) -> tuple[str, ...]:
    return starred(filter(is_key, texts_of(value)))


def _read(entry: Values, number: int, _: Values) -> Lore:
    text, keys = text_of(entry.get("content")), _keys(entry.get("key"))
    is_constant = is_yes(entry.get("constant"))
    others, none_of = (_keys(entry.get(name)) for name in ("keysecondary", "keyanti"))
    if is_constant or not is_yes(entry.get("selective")):
        others = none_of = ()
    chance = whole(entry.get("probability"), 0, 100, 100)
    return Lore(
        name=first_name(number, entry.get("comment"), *texts_of(entry.get("key"))[:1]),
        text=text,
        keys=() if is_constant else keys,
        secondary_keys=others or none_of,
        logic="not any" if none_of and not others else "any",
        enabled=not is_yes(entry.get("widisabled")) and (is_constant or bool(keys)),
        probability=chance or 100,
    )


def _left(entry: Values) -> Iterator[str]:
    if is_yes(entry.get("selective")) and entry.get("keysecondary") and entry.get("keyanti"):
        yield "keyanti"
    if not all(map(is_key, texts_of(entry.get("key")))):
        yield "keys that are no pattern"
    yield from unused(entry, _USED | _SILENT)


def _write_keys(entry: Entry, lore: Lore) -> None:
    entry["constant"] = not lore.keys
    if lore.keys:
        entry["key"] = ", ".join(unstarred(lore.keys))
    entry["selective"] = bool(lore.secondary_keys)
    joined = ", ".join(unstarred(lore.secondary_keys))
    is_anti = lore.logic == "not any"
    entry["keysecondary"], entry["keyanti"] = ("", joined) if is_anti else (joined, "")


def _write_enabled(entry: Entry, lore: Lore) -> None:
    entry["widisabled"] = not lore.enabled
    _write_keys(entry, lore)


def _is_book(found: object) -> bool:
    values = values_of(found)
    rows = values.get("worldinfo")
    if not isinstance(rows, list) or not any("content" in values_of(row) for row in rows):
        return False
    return not (values.get("actions") or text_of(values.get("prompt")))


KOBOLD: Final = Form(
    name="kobold",
    kind="kobold",
    summary="world info of KoboldAI Lite",
    is_book=_is_book,
    path=("worldinfo",),
    read=_read,
    left=_left,
    write={
        "name": lambda entry, lore: entry.update(comment=lore.name),
        "text": lambda entry, lore: entry.update(content=lore.text),
        "keys": _write_keys,
        "secondary_keys": _write_keys,
        "logic": _write_keys,
        "enabled": _write_enabled,
        "probability": lambda entry, lore: entry.update(probability=lore.probability),
    },
    blank=lambda _: {
        "key": "",
        "keysecondary": "",
        "keyanti": "",
        "content": "",
        "comment": "",
        "folder": None,
        "selective": False,
        "constant": False,
        "probability": 100,
        "wigroup": "",
        "widisabled": False,
    },
    # What it takes for a save; the rest is as in a story that has not begun.
    new=lambda _: {
        "gamestarted": False,
        "prompt": "",
        "memory": "",
        "authorsnote": "",
        "actions": [],
        "worldinfo": [],
    },
    used=_USED,
)
