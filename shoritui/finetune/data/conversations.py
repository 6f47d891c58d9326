"""Conversations out of files: BlockML text, or one JSON object a line.

It does not know tokens; a mistake in a file is told with its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from shoritui.blockml import Block, BlockMLError, Part, check_name, clean, parse
from shoritui.errors import UserError
from shoritui.finetune.data.conversation import Conversation
from shoritui.finetune.data.objects import ObjectError, parts_of

Where = Callable[[frozenset[str]], bool]
"""Whether a conversation with these tags is wanted."""

SUFFIXES: Final = (".txt", ".blockml", ".jsonl")
# A block or a note, as `parse` takes them; or, outside of any, a line between conversations.
_PIECE = re.compile(r"▀[^▄]*▄|\[INST\] .*? \[/INST\]|^(?P<line>-{3,} *)$", re.DOTALL | re.MULTILINE)


def find(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files that globs from a folder mean, each once, in the order of their names.

    Files whose names begin with a dot, such as a desktop leaves behind, are passed over.

    Raises:
        UserError: A glob meets no file, or a file of another kind.
    """
    found: set[Path] = set()
    for pattern in patterns:
        met = (path for path in _glob(folder, pattern) if not path.name.startswith("."))
        files = {path for path in met if path.is_file()}
        if not files:
            raise UserError(f"{pattern!r} means no file in {folder}: put conversations there.")
        odd = min((path for path in files if path.suffix.lower() not in SUFFIXES), default=None)
        if odd is not None:
            raise UserError(
                f"{name_of(odd, folder)}, which {pattern!r} means, is no file of conversations: "
                f"expected {', '.join(SUFFIXES)}."
            )
        found |= files
    return sorted(found)


def read(
    folder: Path, files: Sequence[Path], where: Where = lambda tags: True
) -> list[Conversation]:
    """The conversations of these files that are wanted.

    Args:
        folder: The config's, from which people read where a file is.
        files: Such as `find` gives.
        where: Asked with each conversation's tags.

    Raises:
        UserError: A file cannot be read as what it should be; file and line are told.
    """
    every = (told for file in files for told in conversations_of(file, name_of(file, folder)))
    return [conversation for conversation in every if where(conversation.tags)]


def conversations_of(path: Path, name: str) -> Iterator[Conversation]:
    """One file's conversations, which `name` tells people of.

    Raises:
        UserError: The file cannot be read, or does not hold conversations.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}.") from None
    text = _decoded(data, name)
    is_json = path.suffix.lower() == ".jsonl"
    return _of_objects(text, name) if is_json else _of_text(text, name)


def _glob(folder: Path, pattern: str) -> list[Path]:
    whole = Path(pattern).expanduser()
    if whole.is_absolute():
        folder, whole = Path(whole.anchor), whole.relative_to(whole.anchor)
    try:
        return list(folder.glob(str(whole)))
    except (ValueError, IndexError):
        raise UserError(f"{pattern!r} is no glob: expected one such as 'data/*.txt'.") from None


def _decoded(data: bytes, name: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{name}:{line}: this is not UTF-8 text: save it as UTF-8.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _of_objects(text: str, name: str) -> Iterator[Conversation]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                parts = parts_of(line)
            except ObjectError as error:
                raise UserError(clean(f"{name}:{number}: {error}.")) from None
            yield _checked(parts, name, [number] * len(parts))


def _of_text(text: str, name: str) -> Iterator[Conversation]:
    for first, chunk in _chunks(text):
        parts = _parsed(chunk, name, first)
        if parts:
            yield _checked(parts, name, _lines(chunk, first))


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """Each conversation's text and the line it begins in."""
    start, line = 0, 1
    for piece in _PIECE.finditer(text):
        if piece["line"] is not None:
            yield line, text[start : piece.start()]
            line += text.count("\n", start, piece.end())
            start = piece.end()
    yield line, text[start:]


def _parsed(chunk: str, name: str, first: int) -> list[Part]:
    try:
        return parse(chunk)
    except BlockMLError as error:
        line, _, sentence = str(error).removeprefix("line ").partition(": ")
        place = f"{name}:{int(line) + first - 1}"
        raise UserError(clean(f"{place}: {sentence}.")) from None


def _lines(chunk: str, first: int) -> list[int]:
    """The line of each part."""
    lines, line, seen = [], first, 0
    for piece in _PIECE.finditer(chunk):
        line += chunk.count("\n", seen, piece.start())
        seen = piece.start()
        lines.append(line)
    return lines


def _checked(parts: Sequence[Part], name: str, lines: Sequence[int]) -> Conversation:
    """The conversation, clean as a chat keeps it, with names that a chat could have."""
    for part, line in zip(parts, lines, strict=True):
        if isinstance(part, Block) and part.role == "message":
            try:
                check_name(part.name)
            except ValueError as error:
                shown = clean(part.name[:60]).replace("\n", " ")
                raise UserError(f"{name}:{line}: no speaker is {shown!r}: {error}.") from None
    return Conversation(tuple(map(_clean, parts)), name, tuple(lines))


def _clean(part: Part) -> Part:
    if isinstance(part, Block):
        return replace(part, body=clean(part.body))
    return replace(part, text=clean(part.text))


def name_of(path: Path, folder: Path) -> str:
    """What people read a file as."""
    shown = path.relative_to(folder) if path.is_relative_to(folder) else path
    return clean(shown.as_posix()).replace("\n", " ")
