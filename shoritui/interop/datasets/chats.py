"""Whole chats as a model reads them: SillyTavern's, our own JSON, and those of other programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from shoritui.blockml import Part
from shoritui.cards import with_original
from shoritui.errors import UserError
from shoritui.interop.chat_json import chat_of_json
from shoritui.interop.chats import chats_of_json
from shoritui.interop.datasets.model import Found, Read, Reading, Unusable
from shoritui.interop.sillytavern import read_sillytavern
from shoritui.story import (
    COMINGS,
    Form,
    WholeChat,
    header_parts,
    is_summary,
    read_by,
    story_parts,
)


def chat_of_lines(text: str, path: Path, reading: Reading) -> Found:
    """Return the chat of SillyTavern in a text, each message with its line.

    Raises:
        Unusable: It is none.
    """
    broken: list[str] = []
    try:
        read = read_sillytavern(text, path.stem, broken.append)
    except UserError as error:
        raise Unusable(0, _reason(error)) from None
    if broken:
        raise Unusable(0, f"this chat is not whole: {broken[0].rstrip('.')}")
    return _conversation(read.whole, reading, read.lines)


def chats_of_record(
    record: Mapping[str, Any], path: Path, reading: Reading, line: int
) -> Iterator[Read]:
    """Yield the chats in a JSON object, which begins in a line; nothing if none is known."""
    try:
        if record.get("format") == "shoritui-chat":
            chats = [chat_of_json(json.dumps(record))]
        else:
            chats = list(chats_of_json(record, path, lambda told: None) or [])
    except UserError as error:
        yield Unusable(line, _reason(error))
        return
    for whole in chats:
        try:
            yield _conversation(whole, reading, {}, line)
        except Unusable as error:
            yield error


def _reason(error: UserError) -> str:
    return str(error).rstrip(".")


def _conversation(
    whole: WholeChat, reading: Reading, lines: Mapping[int, int], line: int = 1
) -> Found:
    """Return what a model reads of a chat's active path; `lines` are those of its slots.

    It begins in `line`.
    """
    whole = _renamed(whole, reading.names)
    scene, user = whole.chat.scene, whole.chat.user
    form = Form(instruction=with_original(scene.instruction, ""))
    told = [entry for entry in whole.path() if not is_summary(entry)]
    entries = [each for each in read_by(told) if each.text.strip() or each.kind in COMINGS]
    if not any(each.kind == "message" for each in entries):
        raise Unusable(line if line > 1 else 0, "no message is in it")
    parts: list[Part] = [part for _, part in header_parts(scene, user, form)]
    places = [line] * len(parts)
    for entry, group in zip(entries, story_parts(scene, entries, form), strict=True):
        line = lines.get(entry.slot, line)
        parts += [part for _, part in group]
        places += [line] * len(group)
    return Found(tuple(parts), tuple(places))


def _renamed(whole: WholeChat, names: Mapping[str, str]) -> WholeChat:
    """Return a chat in which those who are named otherwise in the config are called so."""
    chat = whole.chat
    others = [each.name for each in chat.scene.characters if each.name != chat.user]
    called = {"user": chat.user, **({"char": others[0]} if len(others) == 1 else {})}
    names = {called.get(key, key): name for key, name in names.items()}
    if not names:
        return whole
    cast = tuple(
        replace(each, name=names.get(each.name, each.name)) for each in chat.scene.characters
    )
    scene = replace(chat.scene, characters=cast)
    entries = tuple(
        replace(each, speaker=names.get(each.speaker, each.speaker)) for each in whole.entries
    )
    new = replace(chat, scene=scene, user=names.get(chat.user, chat.user))
    return replace(whole, chat=new, entries=entries)
