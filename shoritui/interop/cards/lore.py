"""Lore out of a card's character book, or a lorebook of SillyTavern (world info).

Both hold the same; the second has other names for it, and a card's book keeps most of it under
`extensions`:

    {"keys": ["fog"], "insertion_order": 100, "extensions": {"probability": 50}}
    {"key": ["fog"], "order": 100, "probability": 50}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from shoritui.cards import Lore, key_pattern
from shoritui.interop.cards.values import (
    Values,
    name_of,
    text_of,
    texts_of,
    unused,
    values_of,
    whole,
)

_EVER: Final = 1_000_000
_LOGIC: Final[tuple[Literal["any", "not all", "not any", "all"], ...]] = (
    *("any", "not all", "not any", "all"),
)
_AT_DEPTH: Final = 4
_POSITIONS: Final = (0, 1, _AT_DEPTH, "before_char", "after_char", "0", "1", "4", None)
_USED: Final = {
    "key", "keys", "keysecondary", "secondary_keys", "comment", "name", "content", "constant",
    "selective", "selectiveLogic", "order", "insertion_order", "position", "disable", "enabled",
    "excludeRecursion", "exclude_recursion", "preventRecursion", "prevent_recursion",
    "probability", "useProbability", "depth", "scanDepth", "scan_depth", "caseSensitive",
    "case_sensitive", "group", "sticky", "cooldown", "delay", "extensions",
}  # fmt: skip
_SILENT: Final = {
    "uid", "id", "displayIndex", "display_index", "addMemo", "add_memo", "use_regex", "priority",
    "matchWholeWords", "match_whole_words",
}  # fmt: skip
"""What says nothing that a reader would miss."""


def lore_of(book: Values) -> tuple[tuple[Lore, ...], tuple[str, ...]]:
    """Return the lore of a book, and the names of what it has beside that, each once."""
    entries = book.get("entries")
    rows = list(entries.values()) if isinstance(entries, dict) else entries
    depth = whole(book.get("scan_depth"), 1, 1000, 2)
    lore: list[Lore] = []
    left: dict[str, None] = {}
    for number, row in enumerate(rows if isinstance(rows, list) else [], 1):
        entry = values_of(row)
        if text_of(entry.get("content")):
            piece, more = _piece(entry, number, depth)
            lore.append(piece)
            left.update(dict.fromkeys(more))
    return tuple(lore), tuple(left)


def _piece(entry: Values, number: int, depth: int) -> tuple[Lore, Iterator[str]]:
    """Return one piece, and the names of what it has beside."""
    values = {**values_of(entry.get("extensions")), **entry}

    def of(*names: str) -> Any:
        return next((values[name] for name in names if values.get(name) is not None), None)

    text, keys = text_of(entry.get("content")), tuple(filter(_is_key, texts_of(of("keys", "key"))))
    bad = len(keys) < len(texts_of(of("keys", "key")))
    is_constant = of("constant") is True
    # Their lore without keys never comes up, ours always.
    is_on = of("enabled") is not False and of("disable") is not True
    is_on = is_on and (is_constant or bool(keys) or text.startswith("@@"))
    selective = of("selective")
    if selective is None:
        selective = "key" in entry
    second = texts_of(of("secondary_keys", "keysecondary")) if selective and not is_constant else ()
    chance = 100 if of("useProbability") is False else whole(of("probability"), 0, 100, 100)
    # `position` of the entry itself says less than that of its extensions.
    position = values_of(entry.get("extensions")).get("position", entry.get("position"))
    name = name_of(of("comment")) or name_of(of("name")) or name_of(keys[0] if keys else "")
    piece = Lore(
        name=name or f"Lore {number}",
        text=text,
        keys=() if is_constant else keys,
        secondary_keys=tuple(filter(_is_key, second)),
        logic=_LOGIC[whole(of("selectiveLogic"), 0, 3, 0)],
        case=of("case_sensitive", "caseSensitive") is True,
        enabled=is_on and chance > 0,
        scan_depth=whole(of("scan_depth", "scanDepth"), 1, 1000, depth),
        probability=max(chance, 1),
        order=whole(of("insertion_order", "order"), -_EVER, _EVER, 100),
        group=text_of(of("group")).partition(",")[0].replace("\n", " ").strip(),
        wakes=of("prevent_recursion", "preventRecursion") is not True,
        woken=of("exclude_recursion", "excludeRecursion") is not True,
        delay=whole(of("delay"), 0, _EVER, 0),
        cooldown=whole(of("cooldown"), 0, _EVER, 0),
        place="depth" if position in (_AT_DEPTH, "4") else "story",
        depth=whole(of("depth"), 1, 1000, 4) if position in (_AT_DEPTH, "4") else 4,
        sticky=whole(of("sticky"), 0, _EVER, 0),
    )
    return piece, _left(values, position, has_bad_keys=bad)


def _left(values: Values, position: object, *, has_bad_keys: bool) -> Iterator[str]:
    if has_bad_keys:
        yield "keys that are no pattern"
    if position not in _POSITIONS:
        yield "position"
    usual = {"groupWeight": 100, "group_weight": 100}
    told = {name: value for name, value in values.items() if usual.get(name) != value}
    yield from unused(told, _USED | _SILENT)


def _is_key(key: str) -> bool:
    try:
        key_pattern(key)
    except ValueError:
        return False
    return True
