"""Parts to text: the one renderer that chats and training both use."""

from __future__ import annotations

import re
from collections.abc import Iterable

from shoritui.blockml.blocks import BLOCK_CLOSE, BLOCK_OPEN, Block, Instruction, Part
from shoritui.blockml.lengths import Length

# A wall inside a body becomes a look-alike that no tokenizer treats as a wall. Word joiners
# after it, which have no width, tell a stand-in from a look-alike that was really written:
# an even number stands for the wall, an odd one for the look-alike itself.
LOOK_ALIKES = {BLOCK_OPEN: "\u2594", BLOCK_CLOSE: "\u2582"}
JOINER = "\u2060"
INSTRUCTION_OPEN = "[INST] "
INSTRUCTION_CLOSE = " [/INST]"

_WALLS = re.compile(f"([▀▄{''.join(LOOK_ALIKES.values())}])({JOINER}*)")
_INSTRUCTION_END = re.compile(rf"\[/INST({JOINER}*)\]")


def escape(body: str) -> str:
    """Return the body without any block character; `parse.unescape` undoes it."""

    def stand_in(match: re.Match[str]) -> str:
        character, joiners = match.groups()
        wall = LOOK_ALIKES.get(character)
        return (wall or character) + JOINER * (2 * len(joiners) + (wall is None))

    return _WALLS.sub(stand_in, body)


def render(part: Part) -> str:
    """Return the text of one part, with the newline that ends it."""
    if isinstance(part, Instruction):
        text = _INSTRUCTION_END.sub(rf"[/INST{JOINER}\1]", escape(part.text))
        return f"{INSTRUCTION_OPEN}{text}{INSTRUCTION_CLOSE}\n"
    return f"{_opening(part)}{escape(part.body)}{BLOCK_CLOSE}\n"


def render_all(parts: Iterable[Part]) -> str:
    """Return the text of all parts, in their order."""
    return "".join(map(render, parts))


def message_header(name: str, length: Length | None) -> str:
    """Return what stands before a message's text, up to the colon: where a reply begins.

    There is no space at its end, since in training the first token of a body carries it.
    """
    hint = f" (length: {length})" if length else ""
    return f"{BLOCK_OPEN}message{hint}\n{escape(name)}:"


def _opening(block: Block) -> str:
    if block.role != "message":
        return f"{BLOCK_OPEN}{block.role}\n"
    # The space after the colon belongs to the body; one that begins with a newline has none.
    gap = "" if block.body.startswith("\n") else " "
    return message_header(block.name, block.length) + gap
