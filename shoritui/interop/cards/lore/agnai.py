"""Memory books of Agnai.

    {"kind": "memory", "name": "Sea", "description": "", "entries": [
        {"name": "Fog", "entry": "The fog.", "keywords": ["fog", "mist*"], "priority": 100,
         "weight": 100, "enabled": true}]}

Keywords are whole words; `*` stands for letters and `?` for one, and `*` alone for anything.
`priority` says what stays where tokens are short, `weight` how far down it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from shoritui.cards import Lore
from shoritui.interop.cards.lore.form import Entry, Form, first_name, is_key, is_pattern, starred
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
_LETTERS: Final = {"*": r"\w*", "?": r"\w"}
_USED: Final = frozenset(
    {"name", "entry", "keywords", "priority", "enabled", "constant", "secondaryKeys", "selective"}
    | {"probability", "useProbability", "excludeRecursion", "extensions"}
)
_SILENT: Final = {"id", "comment", "position", "weight", "selectiveLogic"}


def _key(written: str) -> str:
    """Return a keyword as a key of ours: a star at the end asks for the plural here."""
    if not re.search(r"[*?]", written) or is_pattern(written):
        return written
    if written.count("*") == 1 and "?" not in written and starred([written[:-1]]) == (written,):
        return written
    letters = "".join(_LETTERS.get(letter) or re.escape(letter) for letter in written)
    pattern = rf"/\b{letters}\b/i"
    return pattern if is_key(pattern) else written


def _keys(value: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_key(key) for key in texts_of(value) if is_key(key)))


def _read(entry: Values, number: int, _: Values) -> Lore:
    keys = _keys(entry.get("keywords"))
    is_constant = is_yes(entry.get("constant")) or "*" in texts_of(entry.get("keywords"))
    second = _keys(entry.get("secondaryKeys")) if is_yes(entry.get("selective")) else ()
    chance = whole(entry.get("probability"), 0, 100, 100)
    if is_no(entry.get("useProbability")):
        chance = 100
    is_on = not is_no(entry.get("enabled")) and chance > 0
    return Lore(
        name=first_name(number, entry.get("name"), *texts_of(entry.get("keywords"))[:1]),
        text=text_of(entry.get("entry")),
        keys=() if is_constant else keys,
        secondary_keys=() if is_constant else second,
        enabled=is_on and (is_constant or bool(keys)),
        probability=max(chance, 1),
        order=whole(entry.get("priority"), -_EVER, _EVER, 100),
        woken=not is_yes(entry.get("excludeRecursion")),
    )


def _left(entry: Values) -> Iterator[str]:
    if not all(map(is_key, texts_of(entry.get("keywords")))):
        yield "keys that are no pattern"
    if entry.get("weight") not in (entry.get("priority"), None):
        yield "weight"
    yield from unused(entry, _USED | _SILENT)


def _write_keys(entry: Entry, lore: Lore) -> None:
    entry["keywords"] = list(lore.keys) or ["*"]
    entry.pop("constant", None)
    if lore.secondary_keys or "secondaryKeys" in entry:
        entry["secondaryKeys"] = list(lore.secondary_keys)
        entry["selective"] = bool(lore.secondary_keys)


def _write_enabled(entry: Entry, lore: Lore) -> None:
    entry["enabled"] = lore.enabled
    _write_chance(entry, lore)
    _write_keys(entry, lore)


def _write_chance(entry: Entry, lore: Lore) -> None:
    if lore.probability < 100 or "probability" in entry:
        entry["probability"] = lore.probability
        entry["useProbability"] = True


def _write_order(entry: Entry, lore: Lore) -> None:
    if entry.get("weight") == entry.get("priority"):
        entry["weight"] = lore.order
    entry["priority"] = lore.order


def _is_book(found: object) -> bool:
    values = values_of(found)
    return values.get("kind") == "memory" and isinstance(values.get("entries"), list)


AGNAI: Final = Form(
    name="agnai",
    kind="agnai",
    summary="a memory book of Agnai",
    is_book=_is_book,
    path=("entries",),
    read=_read,
    left=_left,
    write={
        "name": lambda entry, lore: entry.update(name=lore.name),
        "text": lambda entry, lore: entry.update(entry=lore.text),
        "keys": _write_keys,
        "secondary_keys": _write_keys,
        "enabled": _write_enabled,
        "probability": _write_chance,
        "order": _write_order,
        "woken": lambda entry, lore: entry.update(excludeRecursion=not lore.woken),
    },
    blank=lambda _: {
        "name": "",
        "entry": "",
        "keywords": [],
        "priority": 100,
        "weight": 100,
        "enabled": True,
    },
    new=lambda name: {"kind": "memory", "name": name, "description": "", "entries": []},
    used=_USED,
)
