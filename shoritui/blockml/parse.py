"""Text to parts: read back what `render` writes, and say where other text goes wrong."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import cast

from shoritui.blockml.blocks import BLOCK_CLOSE, BLOCK_OPEN, ROLES, Block, Instruction, Part, Role
from shoritui.blockml.lengths import LENGTHS, Length
from shoritui.blockml.render import INSTRUCTION_CLOSE, INSTRUCTION_OPEN, JOINER, LOOK_ALIKES

_WALLS_BACK = {look_alike: wall for wall, look_alike in LOOK_ALIKES.items()}
_LOOK_ALIKES = re.compile(f"([{''.join(_WALLS_BACK)}])({JOINER}*)")
_INSTRUCTION_END = re.compile(rf"\[/INST{JOINER}({JOINER}*)\]")
_HEADER = re.compile(r"(?P<role>\S+)(?: \(length: (?P<length>[^)\n]*)\))?")


class BlockMLError(ValueError):
    """Text that is not BlockML: the message says the line and what was expected."""


def unescape(body: str) -> str:
    """Return the body as it was written, before `render.escape`."""

    def original(match: re.Match[str]) -> str:
        look_alike, joiners = match.groups()
        half, was_written = divmod(len(joiners), 2)
        return (look_alike if was_written else _WALLS_BACK[look_alike]) + JOINER * half

    return _LOOK_ALIKES.sub(original, body)


def parse(text: str) -> list[Part]:
    """Return the parts of a text; blank lines between them are allowed.

    Raises:
        BlockMLError: An unclosed block, an unknown role or hint, or text outside of blocks.
    """
    parts: list[Part] = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        part, position = _next_part(text, position)
        parts.append(part)
    return parts


def _next_part(text: str, start: int) -> tuple[Part, int]:
    if text.startswith(BLOCK_OPEN, start):
        end = text.find(BLOCK_CLOSE, start)
        if end < 0:
            raise _error(text, start, "this block is never closed: expected ▄ after its text")
        return _block(text, start, end), _after(text, end + 1)
    if text.startswith(INSTRUCTION_OPEN, start):
        body = start + len(INSTRUCTION_OPEN)
        end = text.find(INSTRUCTION_CLOSE, body)
        if end < 0:
            raise _error(text, start, "this [INST] is never closed: expected [/INST]")
        written = _INSTRUCTION_END.sub(r"[/INST\1]", unescape(text[body:end]))
        return Instruction(written), _after(text, end + len(INSTRUCTION_CLOSE))
    raise _error(text, start, "this text stands outside of any block: expected ▀ or [INST]")


def _block(text: str, start: int, end: int) -> Block:
    header, newline, body = text[start + 1 : end].partition("\n")
    match = _HEADER.fullmatch(header)
    if not match or not newline:
        raise _error(text, start, "expected ▀, a role and a newline")
    role = _known(text, start, "role", match["role"], ROLES)
    if BLOCK_OPEN in body:
        raise _error(text, start, "this block is never closed: expected ▄ before the next ▀")
    if role != "message":
        if match["length"] is not None:
            raise _error(text, start, f"only a message has a length hint, not {role}")
        return Block(cast(Role, role), unescape(body))
    hint = match["length"]
    length = _known(text, start, "length hint", hint, LENGTHS) if hint is not None else None
    name, colon, spoken = body.partition(":")
    if not colon or "\n" in name:
        raise _error(text, start, "expected the speaker's name and a colon on the second line")
    return Block(
        "message",
        unescape(spoken.removeprefix(" ")),
        unescape(name),
        cast("Length | None", length),
    )


def _after(text: str, position: int) -> int:
    return position + 1 if text.startswith("\n", position) else position


def _known(text: str, at: int, what: str, word: str, known: tuple[str, ...]) -> str:
    if word in known:
        return word
    nearest = get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    raise _error(text, at, f"unknown {what} {word!r}: expected one of {', '.join(known)}{hint}")


def _error(text: str, at: int, sentence: str) -> BlockMLError:
    return BlockMLError(f"line {text.count(chr(10), 0, at) + 1}: {sentence}")
