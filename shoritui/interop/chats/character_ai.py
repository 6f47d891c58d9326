"""Histories of Character.AI, as its users' tools save them.

{"info": {"character": {"name": "Ada"}}, "histories": {"histories": [
    {"msgs": [{"src": {"is_human": false, "name": "Ada"}, "text": "Hm."}]}]}}
"""

from __future__ import annotations

from pathlib import Path

from shoritui.interop.cards.values import Values, values_of
from shoritui.interop.chats.build import ChatBuilder, Tell, called, titled
from shoritui.story import WholeChat


def read(found: Values, path: Path, tell: Tell) -> list[WholeChat] | None:
    """Return the chats; None if the file holds none of Character.AI's."""
    histories = found.get("histories")
    if isinstance(histories, dict):
        histories = histories.get("histories")
    rows = [values_of(each) for each in (histories if isinstance(histories, list) else [])]
    told = [each["msgs"] for each in rows if isinstance(each.get("msgs"), list) and each["msgs"]]
    if not told:
        return None
    info = values_of(found.get("info"))
    named = values_of(info.get("character")).get("name") or info.get("name")
    chats = []
    for number, messages in enumerate(told, 1):
        title = titled(path.stem)
        chat = ChatBuilder(title if len(told) == 1 else f"{title}, {number}", "You", "Character")
        chat.char = called(named, *_names(messages, is_human=False), default="Character")
        chat.user = called(*_names(messages, is_human=True), default="You")
        for row in map(values_of, messages):
            source, text = values_of(row.get("src")), row.get("text")
            usual = chat.user if source.get("is_human") is True else chat.char
            speaker = called(source.get("name"), default=usual)
            texts = [text] if isinstance(text, str) else []
            chat.say(speaker, texts, date=row.get("created"))
        if chat.has_begun:
            chats.append(chat.whole())
    return chats or None


def _names(messages: list[object], *, is_human: bool) -> list[object]:
    sources = [values_of(values_of(row).get("src")) for row in messages]
    return [each.get("name") for each in sources if (each.get("is_human") is True) == is_human]
