"""Lorebooks of RisuAI, as it exports them.

    {"type": "risu", "ver": 1, "data": [
        {"key": "fog, mist", "secondkey": "night", "selective": true, "insertorder": 100,
         "comment": "Fog", "content": "The fog.", "mode": "normal", "alwaysActive": false,
         "activationPercent": 50, "useRegex": false, "extentions": {"risu_case_sensitive": false}}]}

Keys are also found inside words, unless the text says `@@match_full_word`. With `useRegex` every
key is a pattern. An entry of mode `folder` only holds others together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shoritui.cards import Lore
from shoritui.interop.cards.lore.form import (
    Entry,
    Form,
    first_name,
    is_key,
    is_pattern,
    starred,
    unstarred,
)
from shoritui.interop.cards.values import (
    Values,
    is_yes,
    text_of,
    texts_of,
    unused,
    values_of,
    whole,
)

_EVER: Final = 1_000_000
_CASE: Final = "risu_case_sensitive"
_USED: Final = frozenset(
    {"key", "secondkey", "insertorder", "comment", "content", "alwaysActive", "selective"}
    | {"activationPercent", "useRegex", "extentions", _CASE}
)
_SILENT: Final = {"mode", "bookVersion", "id", "loreCache", "risu_loreCache", "folder"}


def _keys(value: object, *, has_patterns: bool) -> tuple[str, ...]:
    """Return the keys of an entry; a pattern may hold commas."""
    parts, whole_text = texts_of(value), text_of(value)
    if not has_patterns:
        return starred(key for key in parts if is_key(key) and not is_pattern(key))
    if all(is_key(part) and is_pattern(part) for part in parts):
        return parts
    if is_key(whole_text) and is_pattern(whole_text):
        return (whole_text,)
    return tuple(part for part in parts if is_key(part) and is_pattern(part))


def _read(entry: Values, number: int, _: Values) -> Lore:
    text, has_patterns = text_of(entry.get("content")), is_yes(entry.get("useRegex"))
    keys = _keys(entry.get("key"), has_patterns=has_patterns)
    second = _keys(entry.get("secondkey"), has_patterns=has_patterns)
    is_constant = is_yes(entry.get("alwaysActive")) or entry.get("mode") == "constant"
    chance = whole(entry.get("activationPercent"), 0, 100, 100)
    extensions = values_of(entry.get("extentions"))
    return Lore(
        name=first_name(number, entry.get("comment"), *texts_of(entry.get("key"))[:1]),
        text="" if entry.get("mode") == "folder" else text,
        keys=() if is_constant else keys,
        secondary_keys=second if is_yes(entry.get("selective")) and not is_constant else (),
        case=is_yes(extensions.get(_CASE)),
        enabled=chance > 0 and (is_constant or bool(keys) or text.startswith("@@")),
        probability=max(chance, 1),
        order=whole(entry.get("insertorder"), -_EVER, _EVER, 100),
    )


def _left(entry: Values) -> Iterator[str]:
    keys = _keys(entry.get("key"), has_patterns=is_yes(entry.get("useRegex")))
    if len(keys) < len(texts_of(entry.get("key"))) and not any(map(is_pattern, keys)):
        yield "keys that are no pattern"
    if entry.get("mode") in ("child", "multiple"):
        yield "mode"
    yield from unused({**values_of(entry.get("extentions")), **entry}, _USED | _SILENT)


def _write_keys(entry: Entry, lore: Lore) -> None:
    both = (*lore.keys, *lore.secondary_keys)
    has_patterns = any(map(is_pattern, both))
    entry["useRegex"] = has_patterns
    entry["alwaysActive"] = not lore.keys
    entry["selective"] = bool(lore.secondary_keys)
    for name, keys in (("key", lore.keys), ("secondkey", lore.secondary_keys)):
        if keys or name == "secondkey":
            bare = unstarred(keys)
            # All of them are patterns there, or none is.
            every = [key if is_pattern(key) else f"/{key}/i" for key in bare]
            entry[name] = ", ".join(every if has_patterns else bare)


def _write_chance(entry: Entry, lore: Lore) -> None:
    entry["activationPercent"] = lore.probability if lore.enabled else 0


def _write_enabled(entry: Entry, lore: Lore) -> None:
    _write_chance(entry, lore)
    _write_keys(entry, lore)


def _write_case(entry: Entry, lore: Lore) -> None:
    old = values_of(entry.get("extentions"))
    entry["extentions"] = {**old, _CASE: lore.case}


def _is_book(found: object) -> bool:
    values = values_of(found)
    return values.get("type") == "risu" and isinstance(values.get("data"), list)


RISU: Final = Form(
    name="risu",
    kind="risu",
    summary="a lorebook of RisuAI",
    is_book=_is_book,
    path=("data",),
    read=_read,
    left=_left,
    write={
        "name": lambda entry, lore: entry.update(comment=lore.name),
        "text": lambda entry, lore: entry.update(content=lore.text),
        "keys": _write_keys,
        "secondary_keys": _write_keys,
        "case": _write_case,
        "enabled": _write_enabled,
        "probability": _write_chance,
        "order": lambda entry, lore: entry.update(insertorder=lore.order),
    },
    blank=lambda _: {
        "key": "",
        "secondkey": "",
        "insertorder": 100,
        "comment": "",
        "content": "",
        "mode": "normal",
        "alwaysActive": False,
        "selective": False,
        "useRegex": False,
    },
    new=lambda _: {"type": "risu", "ver": 1, "data": []},
    used=_USED,
    extensions="extentions",
)
