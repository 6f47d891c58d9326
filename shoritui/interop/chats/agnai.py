"""Chats that Agnaistic exported.

{"name": "Exported", "greeting": "...", "sampleChat": "...", "scenario": "...",
 "messages": [{"_id": "1", "msg": "Hm.", "characterId": "imported", "name": "Ada"},
              {"_id": "2", "parent": "1", "msg": "No.", "userId": "...", "handle": "Bram"}]}
"""

from __future__ import annotations

from pathlib import Path

from shoritui.interop.cards.values import Values, text_of, values_of
from shoritui.interop.chats.build import NARRATOR, ChatBuilder, Tell, called, titled
from shoritui.story import Kind, WholeChat


def read(found: Values, path: Path, tell: Tell) -> list[WholeChat] | None:
    """Return the chat; None if the file holds none of Agnaistic's."""
    messages = found.get("messages")
    if not (isinstance(messages, list) and messages):
        return None
    rows = [values_of(each) for each in messages]
    if not any(isinstance(row.get("msg"), str) for row in rows):
        return None
    users = [row for row in rows if text_of(row.get("userId"))]
    others = [row for row in rows if text_of(row.get("characterId"))]
    user = _first(users, "You")
    chat = ChatBuilder(titled(path.stem), user, _first(others, "Character"))
    chat.scenario = text_of(found.get("scenario"))
    ids: dict[str, int] = {}
    speakers: dict[str, str] = {}
    for row in rows:
        parent = ids.get(text_of(row.get("parent")))
        chat.head = chat.head if parent is None else parent
        if (place := _say(chat, row, speakers)) is not None:
            ids[text_of(row.get("_id"))] = place
    chat.head = ids.get(text_of(found.get("treeLeafId"))[:8], chat.head)
    for key, word in (("greeting", "greeting"), ("sampleChat", "example dialogue")):
        text = text_of(found.get(key))
        if text and all(text_of(row.get("msg")) != text for row in rows):
            tell(f"its {word} was left out: a card has a place for it.")
    return [chat.whole()]


def _first(rows: list[Values], default: str) -> str:
    return called(*(row.get(key) for row in rows for key in ("name", "handle")), default=default)


def _say(chat: ChatBuilder, row: Values, speakers: dict[str, str]) -> int | None:
    """Add a message; without a name, each id of a character is somebody else."""
    retries = row.get("retries")
    texts = [row.get("msg"), *(retries if isinstance(retries, list) else [])]
    told = [text for text in texts if isinstance(text, str)]
    date, event = row.get("createdAt"), row.get("event")
    is_user = bool(text_of(row.get("userId")))
    if event == "hidden" or row.get("system") is True:
        return chat.say("", told, kind="note", date=date, hidden=row.get("system") is True)
    if event in ("world", "character"):
        return chat.say(NARRATOR, told, date=date)
    if is_user:
        usual = chat.user
    else:
        known = len(speakers)
        usual = speakers.setdefault(
            text_of(row.get("characterId")), f"{chat.char} {known + 1}" if known else chat.char
        )
    speaker = called(row.get("name"), row.get("handle"), default=usual)
    kind: Kind = "ooc" if row.get("ooc") is True or event == "ooc" else "message"
    return chat.say(speaker, told, kind=kind, date=date)
