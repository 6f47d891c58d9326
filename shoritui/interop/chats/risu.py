"""Chats that RisuAI exported, one or all of a character.

    {"type": "risuChat", "ver": 2, "data": {"name": "Chat 1", "note": "...", "localLore": [...],
     "message": [{"role": "user", "data": "No."}, {"role": "char", "saying": "ID", "data": "Hm."}]}}

Nobody is named in it but by an id: the character stands in the file's name, `Ada_2024-..._chat`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from shoritui.interop.cards.lore import FORMATS, kept_of, left_in
from shoritui.interop.cards.values import Values, text_of, values_of
from shoritui.interop.chats.build import ChatBuilder, Tell, called, titled
from shoritui.story import NoteRule, WholeChat

_FILE: Final = re.compile(r"(.+?)_(?:all_chats_)?\d{4}-?\d\d-?\d\dT?.*", re.DOTALL)
_SUMMARIES: Final = ("supaMemoryData", "hypaV2Data", "hypaV3Data")


def read(found: Values, path: Path, tell: Tell) -> list[WholeChat] | None:
    """Return the chats; None if the file holds none of RisuAI's."""
    if found.get("type") not in ("risuChat", "risuAllChats"):
        return None
    data = found.get("data")
    chats = [values_of(each) for each in (data if isinstance(data, list) else [data])]
    match = _FILE.fullmatch(path.stem)
    char = called(match[1] if match else "", default="Character")
    told = [chat for chat in chats if isinstance(chat.get("message"), list) and chat["message"]]
    if any(chat.get(key) for chat in told for key in _SUMMARIES):
        tell("its summaries were left out.")
    return [_chat(chat, path, char, tell, is_one=len(told) == 1) for chat in told]


def _chat(data: Values, path: Path, char: str, tell: Tell, *, is_one: bool) -> WholeChat:
    title = titled(data.get("name"), path.stem)
    chat = ChatBuilder(titled(path.stem) if is_one else f"{char}, {title}", "You", char)
    chat.note(text_of(data.get("note")), NoteRule(depth=0))
    book = kept_of({"data": data.get("localLore")}, FORMATS["risu"])
    chat.lore = book.lore
    if left := left_in(book):
        tell(f"of its lore was left out: {', '.join(left)}.")
    marks = data.get("bookmarks")
    marked = {mark for mark in marks if isinstance(mark, str)} if isinstance(marks, list) else set()
    names = values_of(data.get("bookmarkNames"))
    speakers: dict[str, str] = {}
    rows = list(map(values_of, data["message"]))
    cut = [place for place, row in enumerate(rows) if row.get("disabled") == "allBefore"]
    for place, row in enumerate(rows):
        is_user = row.get("role") == "user"
        saying = text_of(row.get("saying"))
        if saying and saying not in speakers:
            others = len(speakers)
            speakers[saying] = char if not others else f"{char} {others + 1}"
        usual = "You" if is_user else speakers.get(saying, char)
        label = ""
        if isinstance(mark := row.get("chatId"), str) and mark in marked:
            label = text_of(names.get(mark)) or "Bookmark"
        is_off = row.get("disabled") is True or place <= max(cut[-1:], default=-1)
        text, date = row.get("data"), row.get("time")
        texts = [text] if isinstance(text, str) else []
        if row.get("isComment") is True:
            chat.say("", texts, kind="note", date=date, hidden=True)
        else:
            speaker = called(row.get("name"), default=usual)
            chat.say(speaker, texts, date=date, hidden=is_off, label=label)
    return chat.whole()
