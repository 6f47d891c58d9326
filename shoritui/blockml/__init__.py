"""BlockML, the format the model reads: blocks, rendering, parsing, length hints, prose spans.

▀scenario
Before dawn, they must find the lantern.▄
▀message (length: short)
Mara: "Who goes there?"▄
"""

from shoritui.blockml.blocks import (
    BLOCK_CLOSE,
    BLOCK_OPEN,
    ROLES,
    Block,
    Instruction,
    Part,
    Role,
    check_name,
    description_body,
)
from shoritui.blockml.lengths import LENGTHS, Length, length_for, token_range
from shoritui.blockml.mood import moods
from shoritui.blockml.parse import BlockMLError, parse, unescape
from shoritui.blockml.prose import ProseKind, ProseLexer, Span, lex
from shoritui.blockml.render import message_header, render, render_all

__all__ = [
    "BLOCK_CLOSE",
    "BLOCK_OPEN",
    "LENGTHS",
    "ROLES",
    "Block",
    "BlockMLError",
    "Instruction",
    "Length",
    "Part",
    "ProseKind",
    "ProseLexer",
    "Role",
    "Span",
    "check_name",
    "description_body",
    "length_for",
    "lex",
    "message_header",
    "moods",
    "parse",
    "render",
    "render_all",
    "token_range",
    "unescape",
]
