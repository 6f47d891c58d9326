"""World info of SillyTavern, a card's character book (V2, V3), and the lorebooks of V3.

They hold the same; SillyTavern has other names for it, and a card's book keeps most of it under
`extensions`. What is written by others mixes both, so both are read everywhere.

    {"entries": {"0": {"key": ["fog"], "order": 100, "probability": 50}}}
    {"entries": [{"keys": ["fog"], "insertion_order": 100, "extensions": {"probability": 50}}]}
    {"spec": "lorebook_v3", "data": {"entries": [...]}}

`position`: 0 before the characters, 1 after them, 2 and 3 around the author's note, 4 at a depth,
5 and 6 around the examples, 7 only where a macro asks for it. `selectiveLogic`: as in `_LOGIC`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

from shoritui.cards import Lore
from shoritui.interop.cards.lore.form import (
    Entry,
    Form,
    Write,
    first_name,
    is_key,
    is_pattern,
    starred,
    unstarred,
)
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
_LOGIC: Final[tuple[Literal["any", "not all", "not any", "all"], ...]] = (
    *("any", "not all", "not any", "all"),
)
_AT_DEPTH: Final = 4
_BESIDE_NOTE: Final = (2, 3)
"""The author's note stands at depth 4 unless it is moved."""
_POSITIONS: Final = (0, 1, *_BESIDE_NOTE, _AT_DEPTH)
_NAMES: Final[dict[str, tuple[str, str]]] = {
    "key": ("key", "keys"),
    "keysecondary": ("keysecondary", "secondary_keys"),
    "comment": ("comment", "comment"),
    "content": ("content", "content"),
    "constant": ("constant", "constant"),
    "selective": ("selective", "selective"),
    "selectiveLogic": ("selectiveLogic", "extensions.selectiveLogic"),
    "order": ("order", "insertion_order"),
    "position": ("position", "extensions.position"),
    "depth": ("depth", "extensions.depth"),
    "excludeRecursion": ("excludeRecursion", "extensions.exclude_recursion"),
    "preventRecursion": ("preventRecursion", "extensions.prevent_recursion"),
    "probability": ("probability", "extensions.probability"),
    "useProbability": ("useProbability", "extensions.useProbability"),
    "scanDepth": ("scanDepth", "extensions.scan_depth"),
    "caseSensitive": ("caseSensitive", "case_sensitive"),
    "matchWholeWords": ("matchWholeWords", "extensions.match_whole_words"),
    "group": ("group", "extensions.group"),
    "sticky": ("sticky", "extensions.sticky"),
    "cooldown": ("cooldown", "extensions.cooldown"),
    "delay": ("delay", "extensions.delay"),
}
"""What stands where in world info, and in a card's book."""
_USED: Final = frozenset(
    {each.rpartition(".")[2] for names in _NAMES.values() for each in names}
    | {"name", "disable", "enabled", "use_regex", "extensions"}
)
_SILENT: Final = {
    "uid", "id", "displayIndex", "display_index", "addMemo", "add_memo", "priority", "shoritui",
    "groupOverride", "group_override",
}  # fmt: skip
"""What says nothing that a reader would miss; of a group, ours always takes the highest order."""
_WORDS: Final = {
    "vectorized": "finding by meaning",
    "role": "role",
    "ignoreBudget": "no limit of tokens",
    "delayUntilRecursion": "only woken by other lore",
    "outletName": "outlet",
    "groupWeight": "weight in its group",
    "useGroupScoring": "scores in its group",
    "automationId": "automation",
    "matchPersonaDescription": "keys in the persona",
    "matchCharacterDescription": "keys in the character",
    "matchCharacterPersonality": "keys in the personality",
    "matchCharacterDepthPrompt": "keys in the character's note",
    "matchScenario": "keys in the scenario",
    "matchCreatorNotes": "keys in the creator's notes",
    "triggers": "kinds of generation",
    "characterFilter": "filter of characters",
}
"""What has no counterpart here."""


def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", name)


_SNAKE: Final = {name: _snake(name) for name in (*_WORDS, "displayIndex", "groupOverride")}
_CAMEL: Final = {snake: name for name, snake in _SNAKE.items()}


def _value(entry: Values, *names: str) -> Any:
    """Return the first of these that an entry has, in itself or in its extensions."""
    values = {**values_of(entry.get("extensions")), **entry}
    return next((values[name] for name in names if values.get(name) is not None), None)


def _position(entry: Values) -> int:
    """Return where it stands; that of the extensions says more than the entry's own."""
    found = values_of(entry.get("extensions")).get("position", entry.get("position"))
    if found in ("before_char", "after_char", None):
        return 0
    return whole(found, -1, 99, -1)


def _read(entry: Values, number: int, book: Values) -> Lore:
    def of(*names: str) -> Any:
        return _value(entry, *names)

    text, texts = text_of(entry.get("content")), texts_of(of("keys", "key"))
    keys = tuple(filter(is_key, texts))
    is_constant = is_yes(of("constant"))
    # Their lore without keys never comes up, ours always.
    is_on = not (is_no(of("enabled")) or is_yes(of("disable")))
    is_on = is_on and (is_constant or bool(keys) or text.startswith("@@"))
    selective = of("selective")
    is_selective = "key" in entry if selective is None else not is_no(selective)
    second = tuple(filter(is_key, texts_of(of("secondary_keys", "keysecondary"))))
    if is_constant or not is_selective:
        second = ()
    is_whole = is_yes(of("match_whole_words", "matchWholeWords"))
    chance = 100 if is_no(of("useProbability")) else whole(of("probability"), 0, 100, 100)
    position = _position(entry)
    is_deep = position == _AT_DEPTH or position in _BESIDE_NOTE
    depth = whole(book.get("scan_depth"), 1, 1000, 2)
    return Lore(
        name=first_name(number, of("comment"), of("name"), texts[0] if texts else ""),
        text=text,
        keys=() if is_constant else keys if is_whole else starred(keys),
        secondary_keys=second if is_whole else starred(second),
        logic=_LOGIC[whole(of("selectiveLogic"), 0, 3, 0)],
        case=is_yes(of("case_sensitive", "caseSensitive")),
        enabled=is_on and chance > 0,
        scan_depth=whole(of("scan_depth", "scanDepth"), 1, 1000, depth),
        probability=max(chance, 1),
        order=whole(of("insertion_order", "order"), -_EVER, _EVER, 100),
        group=text_of(of("group")).partition(",")[0].replace("\n", " ").strip(),
        wakes=not is_yes(of("prevent_recursion", "preventRecursion")),
        woken=not is_yes(of("exclude_recursion", "excludeRecursion")),
        delay=whole(of("delay"), 0, _EVER, 0),
        cooldown=whole(of("cooldown"), 0, _EVER, 0),
        place="depth" if is_deep else "story",
        depth=whole(of("depth"), 1, 1000, 4) if position == _AT_DEPTH else 4,
        sticky=whole(of("sticky"), 0, _EVER, 0),
    )


def _left(entry: Values) -> Iterator[str]:
    texts = texts_of(_value(entry, "keys", "key"))
    if not all(map(is_key, texts)):
        yield "keys that are no pattern"
    if _position(entry) not in _POSITIONS:
        yield "position"
    if "," in text_of(_value(entry, "group")):
        yield "more than one group"
    values = {**values_of(entry.get("extensions")), **entry}
    usual = {"groupWeight": 100, "group_weight": 100}
    told = {name: value for name, value in values.items() if usual.get(name) != value}
    for name in unused(told, _USED | _SILENT):
        yield _WORDS.get(_CAMEL.get(name, name), name)


def _writes(is_card: bool) -> dict[str, Write]:
    """Return how the fields are written into an entry of a card's book, or of world info."""

    def put(entry: Entry, name: str, value: object) -> None:
        """Set a value wherever it stands, else where this format has it."""
        names = {each.rpartition(".")[2] for each in _NAMES[name]}
        extensions = entry.get("extensions")
        holders = [entry, *([extensions] if isinstance(extensions, dict) else [])]
        if stands := [(each, key) for each in holders for key in names if key in each]:
            for each, key in stands:
                each[key] = value
            return
        *outer, key = _NAMES[name][is_card].split(".")
        if outer:
            if not isinstance(extensions, dict):
                extensions = entry["extensions"] = {}
            extensions[key] = value
        else:
            entry[key] = value

    def plainly(name: str, value: Callable[[Lore], object]) -> Write:
        return lambda entry, lore: put(entry, name, value(lore))

    def name(entry: Entry, lore: Lore) -> None:
        put(entry, "comment", lore.name)
        if "name" in entry or is_card:
            entry["name"] = lore.name

    def keys(entry: Entry, lore: Lore) -> None:
        both = (*lore.keys, *lore.secondary_keys)
        bare = unstarred(both)
        is_whole = bool(both) and list(both) == bare and not all(map(is_pattern, both))
        put(entry, "matchWholeWords", is_whole or None)
        put(entry, "constant", not lore.keys)
        if lore.keys:
            put(entry, "key", unstarred(lore.keys))
        put(entry, "keysecondary", unstarred(lore.secondary_keys))
        put(entry, "selective", bool(lore.secondary_keys) or not is_card)
        if is_card:
            entry["use_regex"] = bool(both) and all(map(is_pattern, both))

    def enabled(entry: Entry, lore: Lore) -> None:
        if "disable" in entry or not is_card:
            entry["disable"] = not lore.enabled
        if "enabled" in entry or is_card:
            entry["enabled"] = lore.enabled
        chance(entry, lore)
        keys(entry, lore)

    def chance(entry: Entry, lore: Lore) -> None:
        put(entry, "probability", lore.probability)
        put(entry, "useProbability", True)

    def place(entry: Entry, lore: Lore) -> None:
        put(entry, "position", _AT_DEPTH if lore.place == "depth" else 0)
        put(entry, "depth", lore.depth)

    return {
        "name": name,
        "text": plainly("content", lambda lore: lore.text),
        "keys": keys,
        "secondary_keys": keys,
        "logic": plainly("selectiveLogic", lambda lore: _LOGIC.index(lore.logic)),
        "case": plainly("caseSensitive", lambda lore: lore.case),
        "enabled": enabled,
        "scan_depth": plainly("scanDepth", lambda lore: lore.scan_depth),
        "probability": chance,
        "order": plainly("order", lambda lore: lore.order),
        "group": plainly("group", lambda lore: lore.group),
        "wakes": plainly("preventRecursion", lambda lore: not lore.wakes),
        "woken": plainly("excludeRecursion", lambda lore: not lore.woken),
        "delay": plainly("delay", lambda lore: lore.delay),
        "cooldown": plainly("cooldown", lambda lore: lore.cooldown),
        "place": place,
        "depth": place,
        "sticky": plainly("sticky", lambda lore: lore.sticky),
    }


def _entry(number: int) -> Entry:
    """Return a new entry of world info."""
    return {
        "uid": number,
        "key": [],
        "keysecondary": [],
        "comment": "",
        "content": "",
        "constant": False,
        "vectorized": False,
        "selective": True,
        "selectiveLogic": 0,
        "addMemo": True,
        "order": 100,
        "position": 0,
        "disable": False,
        "excludeRecursion": False,
        "preventRecursion": False,
        "delayUntilRecursion": 0,
        "probability": 100,
        "useProbability": True,
        "depth": 4,
        "group": "",
        "groupOverride": True,
        "groupWeight": 100,
        "scanDepth": None,
        "caseSensitive": None,
        "matchWholeWords": None,
        "useGroupScoring": None,
        "automationId": "",
        "role": 0,
        "sticky": None,
        "cooldown": None,
        "delay": None,
        "displayIndex": number,
    }


def _card_entry(number: int) -> Entry:
    """Return a new entry of a card's book; V3 requires what V2 leaves open."""
    return {
        "id": number,
        "keys": [],
        "secondary_keys": [],
        "name": "",
        "comment": "",
        "content": "",
        "constant": False,
        "selective": False,
        "insertion_order": 100,
        "enabled": True,
        "position": "before_char",
        "use_regex": False,
        "case_sensitive": False,
        "extensions": {"case_sensitive": None, "group_override": True},
    }


def _renamed(entry: Values, kind: str) -> Entry:
    """Return the values of a card's entry that world info has other names for."""
    if kind != BOOK.kind:
        return {}
    values = {**entry, **values_of(entry.get("extensions"))}
    return {_CAMEL[name]: value for name, value in values.items() if name in _CAMEL}


def _renamed_for_card(entry: Values, kind: str) -> Entry:
    """Return the values of world info that a card's book has other names for."""
    if kind != WORLD_INFO.kind:
        return {}
    extensions = {_SNAKE[name]: value for name, value in entry.items() if name in _SNAKE}
    return {"extensions": extensions} if extensions else {}


def _entries(found: object) -> list[object]:
    entries = values_of(found).get("entries")
    rows = list(entries.values()) if isinstance(entries, dict) else entries
    return rows if isinstance(rows, list) else []


def _is_book(found: object) -> bool:
    return any("content" in values_of(row) for row in _entries(found))


WORLD_INFO: Final = Form(
    name="sillytavern",
    kind="world info",
    summary="world info of SillyTavern",
    is_book=_is_book,
    path=("entries",),
    read=_read,
    left=_left,
    write=_writes(is_card=False),
    blank=_entry,
    new=lambda _: {"entries": {}},
    used=_USED,
    renamed=_renamed,
)
BOOK: Final = Form(
    name="book",
    kind="card",
    summary="a card's character book",
    is_book=_is_book,
    path=("entries",),
    read=_read,
    left=_left,
    write=_writes(is_card=True),
    blank=_card_entry,
    new=lambda name: {"name": name, "extensions": {}, "entries": []},
    used=_USED,
    renamed=_renamed_for_card,
)
LOREBOOK_V3: Final = Form(
    name="v3",
    kind="card",
    summary="a lorebook of V3 cards",
    is_book=lambda found: values_of(found).get("spec") == "lorebook_v3",
    path=("data", "entries"),
    read=_read,
    left=_left,
    write=_writes(is_card=True),
    blank=_card_entry,
    new=lambda name: {"spec": "lorebook_v3", "data": BOOK.new(name)},
    used=_USED,
    renamed=_renamed_for_card,
)
