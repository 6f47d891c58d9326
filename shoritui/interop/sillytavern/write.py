"""A story as SillyTavern keeps one: JSON Lines, one message a line below a header."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from typing import Any

import msgspec

from shoritui.interop.chat_json import clean_struct, written_scene
from shoritui.interop.dates import date_text
from shoritui.interop.sillytavern.extra import KEY, NARRATOR, SAID, Extra
from shoritui.story import COMINGS, Entry, WholeChat, coming
from shoritui.text import clean, one_line


def sillytavern(whole: WholeChat) -> str:
    """Return the active path, each message with its versions as swipes."""
    whole = whole.renumbered(1)
    chat, path = whole.chat, whole.path()
    on_path = {entry.id for entry in path}
    versions: dict[int, list[Entry]] = defaultdict(list)
    for entry in whole.entries:
        versions[entry.slot].append(entry)
    named = {slot for entry in whole.entries for slot in entry.details.span or ()}
    others = [each.name for each in chat.scene.characters if each.name != chat.user]
    header = {
        "user_name": clean(chat.user),
        "character_name": clean(others[0]) if others else NARRATOR,
        "create_date": date_text(chat.created),
        "chat_metadata": {
            KEY: {
                "name": one_line(chat.name),
                "user": clean(chat.user),
                "scene": written_scene(chat.scene),
            }
        },
    }
    lines = [header]
    for entry in path:
        # Another version can stand elsewhere on the path only in a damaged library.
        siblings = [
            each for each in versions[entry.slot] if each is entry or each.id not in on_path
        ]
        lines.append(_line(entry, siblings, chat.user, named))
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)


def _line(entry: Entry, siblings: list[Entry], user: str, named: Collection[int]) -> dict[str, Any]:
    name = entry.speaker if entry.kind in SAID else NARRATOR
    extras = [_extra(each, entry, name, named) for each in siblings]
    chosen = siblings.index(entry)
    line = {
        "name": clean(name),
        "is_user": entry.kind in SAID and entry.speaker == user,
        "is_system": entry.hidden,
        "send_date": date_text(entry.created),
        "mes": _told(entry),
        "extra": extras[chosen],
    }
    if len(siblings) > 1:
        line["swipe_id"] = chosen
        line["swipes"] = [_told(each) for each in siblings]
        line["swipe_info"] = [
            {"send_date": date_text(each.created), "extra": extra}
            for each, extra in zip(siblings, extras, strict=True)
        ]
    return line


def _told(entry: Entry) -> str:
    return coming(entry) if entry.kind in COMINGS else clean(entry.text)


def _extra(entry: Entry, chosen: Entry, name: str, named: Collection[int]) -> dict[str, Any]:
    extra = Extra(
        kind=None if entry.kind == "message" else entry.kind,
        speaker=None if entry.speaker == name else clean(entry.speaker),
        text=clean(entry.text) if entry.kind in COMINGS else None,
        length=entry.length,
        status=entry.status,
        hidden=None if entry.hidden == chosen.hidden else entry.hidden,
        label=None if entry.label is None else one_line(entry.label),
        details=clean_struct(entry.details),
        pinned=entry.pinned,
        slot=entry.slot if entry.slot in named else None,
    )
    # The key stands even if it holds nothing: so a line of ours is known from another's.
    written: dict[str, Any] = {KEY: msgspec.to_builtins(extra)}
    return written if entry.kind in SAID else {"type": "narrator", **written}
