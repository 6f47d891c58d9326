"""BlockML: the format the model reads. Blocks, rendering, parsing, length hints, prose spans.

Pure text; it knows nothing of tokens' ids, of files or of screens.
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
    clean,
    description_body,
)
from shoritui.blockml.lengths import LENGTHS, Length, length_for, token_range
from shoritui.blockml.parse import BlockMLError, parse
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
    "clean",
    "description_body",
    "length_for",
    "lex",
    "message_header",
    "parse",
    "render",
    "render_all",
    "token_range",
]
