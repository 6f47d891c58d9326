"""A story as SillyTavern keeps one: JSON Lines, one message a line below a header.

A group has a file of its own beside its chat, and each message says whose card its speaker is:

    groups/1729284737123.json               {"name": "The last ferry", "members": ["Ada.png"], ...}
    group chats/2024-10-18@20h52m17s.jsonl  {"name": "Ada", "original_avatar": "Ada.png", ...}
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec

from shoritui.files import portable
from shoritui.interop.chat_json import clean_struct, written_scene
from shoritui.interop.dates import LATEST, date_text
from shoritui.interop.sillytavern.extra import KEY, NARRATOR, SAID, Extra
from shoritui.interop.sillytavern.group import TURNS
from shoritui.interop.sillytavern.metadata import written_extra, written_metadata
from shoritui.story import COMINGS, Entry, Made, WholeChat, coming
from shoritui.text import as_json, clean, one_line

_UNSAFE: Final = re.compile(r'[/\\?<>:*|"\n]')
"""What no file's name has there."""


def sillytavern(whole: WholeChat) -> str:
    """Return the active path, each message with its versions as swipes."""
    return _text(_lines(whole))


def sillytavern_group(whole: WholeChat, cards: CardFiles | None = None) -> dict[str, str]:
    """Return the active path as the chat of a group, by the names of its files in `default-user`.

    The members' cards are other files: `characters/NAME.png`, or as `cards` has them.
    """
    chat = whole.chat
    others = [each for each in chat.scene.characters if each.name != chat.user]
    cards = CardFiles() if cards is None else cards
    files = {each.name: cards[each.name] for each in others}
    header, *lines = _lines(whole)
    header |= {"user_name": "unused", "character_name": "unused"}
    for number, line in enumerate(lines):
        if not line["is_user"] and line["name"] in files:
            file = files[line["name"]]
            line["original_avatar"] = file
            line["force_avatar"] = f"/thumbnail?type=avatar&file={quote(file)}"
            line["extra"] = {"gen_id": int(chat.created * 1000) + number, **line["extra"]}
    began = datetime.fromtimestamp(min(chat.created, LATEST - 1), UTC)
    name = began.strftime("%Y-%m-%d@%Hh%Mm%Ss")
    turns = chat.settings.get("turns")
    group = {
        "id": str(int(chat.created * 1000)),
        "name": one_line(chat.name),
        "members": list(dict.fromkeys(files.values())),
        "avatar_url": "",
        "allow_self_responses": False,
        "activation_strategy": next((key for key, word in TURNS.items() if word == turns), 0),
        "generation_mode": 0,
        "generation_mode_join_prefix": "",
        "generation_mode_join_suffix": "",
        "disabled_members": [files[each.name] for each in others if each.speaks == "never"],
        "chat_metadata": {},
        "past_metadata": {},
        "fav": False,
        "chat_id": name,
        "chats": [name],
        "auto_mode_delay": 5,
        "hideMutedSprites": False,
    }
    return {
        f"groups/{group['id']}.json": as_json(group, 4),
        f"group chats/{name}.jsonl": _text([header, *lines]),
    }


def card_file(name: str) -> str:
    """Return the name of a character's card there."""
    return portable((_UNSAFE.sub("", clean(name)).strip(". ") or "Character") + ".png")


class CardFiles(dict[str, str]):
    """The names of characters' cards there, each of which is one on every disk.

    CardFiles()["Ada"]       Ada.png; and for "ADA" after it: ADA (2).png
    """

    def __missing__(self, name: str) -> str:
        stem = card_file(name).removesuffix(".png")
        taken, file, number = {each.casefold() for each in self.values()}, f"{stem}.png", 1
        while file.casefold() in taken:
            number += 1
            file = f"{stem} ({number}).png"
        self[name] = file
        return file


def _text(lines: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(as_json(line) for line in lines)


def _lines(whole: WholeChat) -> list[dict[str, Any]]:
    """Return the header, and each message."""
    whole = whole.renumbered(1)
    chat, path = whole.chat, whole.path()
    on_path = {entry.id for entry in path}
    versions: dict[int, list[Entry]] = defaultdict(list)
    for entry in whole.entries:
        versions[entry.slot].append(entry)
    named = {slot for entry in whole.entries for slot in entry.details.span or ()}
    others = [each.name for each in chat.scene.characters if each.name != chat.user]
    metadata, note = written_metadata(whole)
    header = {
        "user_name": clean(chat.user),
        "character_name": clean(others[0]) if others else NARRATOR,
        "create_date": date_text(chat.created),
        "chat_metadata": {
            **metadata,
            KEY: {
                "name": one_line(chat.name),
                "user": clean(chat.user),
                "scene": written_scene(chat.scene),
            },
        },
    }
    lines = [header]
    for entry in path:
        if entry is note:
            continue
        # Another version can stand elsewhere on the path only in a damaged library.
        siblings = [
            each for each in versions[entry.slot] if each is entry or each.id not in on_path
        ]
        lines.append(_line(entry, siblings, chat.user, named))
    return lines


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
    text = clean(entry.text)
    return clean(coming(replace(entry, text=text))) if entry.kind in COMINGS else text


def _extra(entry: Entry, chosen: Entry, name: str, named: Collection[int]) -> dict[str, Any]:
    made = entry.details.made
    details = msgspec.structs.replace(entry.details, foreign="", made=made and Made(made.how, 0))
    extra = Extra(
        kind=None if entry.kind == "message" else entry.kind,
        speaker=None if entry.speaker == name else clean(entry.speaker),
        text=clean(entry.text) if entry.kind in COMINGS else None,
        length=entry.length,
        status=entry.status,
        hidden=None if entry.hidden == chosen.hidden else entry.hidden,
        label=None if entry.label is None else one_line(entry.label),
        details=clean_struct(details),
        pinned=entry.pinned,
        slot=entry.slot if entry.slot in named else None,
    )
    # The key stands even if it holds nothing: so a line of ours is known from another's.
    written: dict[str, Any] = {KEY: msgspec.to_builtins(extra)}
    told = {**written_extra(entry), **written}
    return told if entry.kind in SAID else {**told, "type": "narrator"}
