"""Chats of other programs, each told by what it holds; SillyTavern's have a wing of their own.

chats_of_json({"type": "risuChat", ...}, path, tell)    the chats in it
chats_of_json({"name": "Ada"}, path, tell)              None: it is no chat that is known here

Nothing is in these files that says who the user is, or often the character: the file's name does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shoritui.interop.cards.values import Values
from shoritui.interop.chats import agnai, character_ai, kobold, risu, textgen
from shoritui.interop.chats.build import Tell
from shoritui.interop.chats.otaku import chat_of_otaku, is_otaku
from shoritui.story import WholeChat

__all__ = ["chat_of_otaku", "chats_of_json", "is_otaku"]

_READ = (risu.read, kobold.read, agnai.read, textgen.read, character_ai.read)


def chats_of_json(found: Values, path: Path, tell: Tell) -> Sequence[WholeChat] | None:
    """Return the chats in a JSON object; None if it is none that is known.

    Args:
        found: The object.
        path: Where it came from: files of some programs say it in their names who speaks.
        tell: Is told in a sentence what was left out.

    Raises:
        UserError: It is a chat, but nothing is said in it.
    """
    for read in _READ:
        if (chats := read(found, path, tell)) is not None:
            return chats
    return None
