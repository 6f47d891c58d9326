"""Example messages out of a character's `examples`, laid out as other programs have them.

    <START>
    Wren: Is it far?
    Mara: "Far?" She laughed.
    It was a short laugh.
    <START>
    Mara: Hm.

Two conversations; the second message of the first one has two lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, TypeAlias

from shoritui.names import fold

Conversation: TypeAlias = tuple[tuple[str, str], ...]
"""Messages: who says each, and what."""
_START: Final = re.compile(r"^[ \t]*<START>[ \t]*$", re.IGNORECASE | re.MULTILINE)
_LINE: Final = re.compile(r"\s*([^:\n]{1,60}):(.*)", re.DOTALL)
_LONGEST: Final = 100_000
"""Letters that are looked at; what fits into a prompt is far less."""
_MOST: Final = 200
"""Messages that there may be; the same holds for them."""


def conversations(text: str, owner: str, names: Iterable[str]) -> tuple[Conversation, ...]:
    """Return the conversations in a text whose macros are settled.

    Args:
        text: The examples.
        owner: Whose they are, and who says what stands before any name.
        names: Who else may say something; other words before a colon begin no message.
    """
    return _conversations(text, owner, tuple(names))


@lru_cache(maxsize=64)
def _conversations(text: str, owner: str, names: tuple[str, ...]) -> tuple[Conversation, ...]:
    known = {fold(name): name for name in (*names, owner)}
    talks: list[Conversation] = []
    left = _MOST
    for talk in _START.split(text[:_LONGEST]):
        if messages := _messages(talk, owner, known)[:left]:
            talks.append(messages)
            left -= len(messages)
    return tuple(talks)


def _messages(talk: str, owner: str, known: dict[str, str]) -> Conversation:
    told: list[tuple[str, list[str]]] = [(owner, [])]
    for line in talk.strip().split("\n"):
        begun = _LINE.fullmatch(line)
        name = known.get(fold(begun[1].strip())) if begun else None
        if begun is not None and name is not None:
            told.append((name, [begun[2]]))
        else:
            told[-1][1].append(line)
    messages = ((name, "\n".join(lines).strip()) for name, lines in told)
    return tuple((name, said) for name, said in messages if said)
