"""Histories of text-generation-webui.

    {"internal": [["<|BEGIN-VISIBLE-CHAT|>", "Hm."], ["No.", "Oh."]], "visible": [["", "Hm."], ...],
     "metadata": {"assistant_1": {"versions": [{"content": "Ah."}, {"content": "Oh."}],
                                  "current_version_index": 1, "timestamp": "Oct 18, 2024 20:52"}}}

Older ones have `data` and `data_visible`. What is visible is HTML. Nobody is named: the character
is the folder, in `logs/chat/Ada/20241018-20-52-17.json`, or stands in the name of an older file.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Final

from shoritui.interop.cards.values import Values, values_of, whole
from shoritui.interop.chats.build import ChatBuilder, Tell, called, titled
from shoritui.story import WholeChat

_BEGIN: Final = "<|BEGIN-VISIBLE-CHAT|>"
_FILE: Final = re.compile(r"(.+?)_(?:persistent|\d{8}-.*)", re.DOTALL)
_FOLDERS: Final = ("chat", "characters")
_MOST: Final = 10_000
"""Versions of a message."""


def read(found: Values, path: Path, tell: Tell) -> list[WholeChat] | None:
    """Return the chat; None if the file holds no such history."""
    histories = (found.get(key) for key in ("internal", "data"))
    told = next(filter(_is_history, histories), None)
    if told is None:
        seen = found.get("visible", found.get("data_visible"))
        if not isinstance(seen, list) or not _is_history(seen):
            return None
        told = [[_unescaped(each) if isinstance(each, str) else "" for each in p] for p in seen]
    match = _FILE.fullmatch(path.stem)
    folder = path.absolute().parent
    char = folder.name if folder.parent.name in _FOLDERS else match[1] if match else ""
    usual = "Assistant" if folder.name == "instruct" else "Character"
    chat = ChatBuilder(titled(path.stem), "You", called(char, default=usual))
    notes = values_of(found.get("metadata"))
    for number, pair in enumerate(told):
        for place, role in enumerate(("user", "assistant")):
            text = pair[place] if isinstance(pair, list) and len(pair) > place else None
            if isinstance(text, str) and text != _BEGIN:
                _say(chat, role, text, values_of(notes.get(f"{role}_{number}")))
    return [chat.whole()]


def _unescaped(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # `&#` and thousands of digits
        return text


def _say(chat: ChatBuilder, role: str, text: str, more: Values) -> None:
    rows = more.get("versions")
    versions = [values_of(row) for row in (rows[:_MOST] if isinstance(rows, list) else [])]
    texts = [row["content"] for row in versions if isinstance(row.get("content"), str)]
    chosen = whole(more.get("current_version_index"), 0, _MOST, 0)
    if not (chosen < len(texts) and texts[chosen] == text):
        # The history is what was told; one that was edited since is a version more.
        chosen = texts.index(text) if text in texts else len(texts)
        texts = texts if text in texts else [*texts, text]
    speaker = chat.user if role == "user" else chat.char
    chat.say(speaker, texts, chosen, date=more.get("timestamp"))


def _is_history(value: object) -> bool:
    if not isinstance(value, list):
        return False
    return bool(value) and all(isinstance(pair, list) and len(pair) == 2 for pair in value)
