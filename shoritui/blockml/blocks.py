"""The parts a story is made of, and what may stand inside them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from shoritui.blockml.lengths import Length

BLOCK_OPEN = "▀"
BLOCK_CLOSE = "▄"

Role = Literal["title", "tags", "lore", "description", "scenario", "message", "ooc"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Block:
    """One `▀role … ▄` block."""

    role: Role
    body: str
    """The text, without the speaker."""
    name: str = ""
    """The speaker of a `message`; every other role has none."""
    length: Length | None = None
    """The hint of a `message`; None leaves it out (the dynamic mode)."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """An `[INST] … [/INST]` note between blocks: a system instruction or an author's note."""

    text: str


Part: TypeAlias = Block | Instruction


_SHAPELESS = "\u115f\u1160\u2800\u3164\uffa0"


def check_name(name: str) -> str:
    """Return the name itself if it can stand before the colon of a message.

    Raises:
        ValueError: It is empty, padded, too long, or holds a colon, a newline, a control
            character or a block character.
    """
    if not name or name != name.strip():
        raise ValueError("a name must not be empty or begin or end with a space")
    if not any(unicodedata.category(c)[0] in "LNPS" and c not in _SHAPELESS for c in name):
        raise ValueError("a name must hold something that can be seen")
    if len(name) > 60:
        raise ValueError("a name must have at most 60 characters")
    for character in name:
        if character in ":\n":
            raise ValueError("a name must not hold a colon or a newline")
        if character in (BLOCK_OPEN, BLOCK_CLOSE):
            raise ValueError(f"a name must not hold the block character {character}")
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            raise ValueError("a name must not hold control characters")
    return name


def description_body(name: str, text: str) -> str:
    """Return the body of a character's `description` block.

    The name goes on the first line unless the text's own first line makes it clear.
    """
    first_line = text.lstrip().partition("\n")[0]
    words = re.findall(r"\w+", first_line.casefold())
    if set(re.findall(r"\w+", name.casefold())) <= set(words) and words:
        return text
    return f"{name}\n{text}"
