"""ShoriTUI's own files of conversations: BlockML text, and JSON with the fields of a scene.

mine.txt     ▀title▐ ... ▄ ... ▀message▐ Mara: ... ▄
             ---
             ▀message▐ Ilse: ... ▄
mine.jsonl   {"text": BlockML}
             {"scenario": "...", "messages": [{"name": "Mara", "text": "..."}]}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

import msgspec

from shoritui.blockml import (
    Block,
    BlockMLError,
    Instruction,
    Length,
    Part,
    description_body,
    parse,
)
from shoritui.bounded import misfit
from shoritui.interop.datasets.model import Found, Read, Unusable
from shoritui.text import closest

_OPEN = re.compile(r"▀|\[INST\] |^-{3,} *$", re.MULTILINE)
"""Where a block, a note, or a line between conversations begins."""
_CLOSE: Final = {"▀": "▄", "[INST] ": " [/INST]"}


def conversations_of_text(text: str) -> Iterator[Read]:
    """Yield the conversations of a BlockML text, or what is wrong with one."""
    for first, chunk in _chunks(text):
        try:
            parts = parse(chunk)
        except BlockMLError as error:
            line, _, sentence = str(error).removeprefix("line ").partition(": ")
            yield Unusable(int(line) + first - 1, sentence)
            continue
        if parts:
            yield Found(tuple(parts), tuple(_lines(chunk, first)), "blocks")


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """Each conversation's text and the line it begins in."""
    start, line = 0, 1
    for begin, end, is_between in _pieces(text):
        if is_between:
            yield line, text[start:begin]
            line += text.count("\n", start, end)
            start = end
    yield line, text[start:]


def _lines(chunk: str, first: int) -> Iterator[int]:
    """The line of each part."""
    line, seen = first, 0
    for begin, _, _ in _pieces(chunk):
        line += chunk.count("\n", seen, begin)
        seen = begin
        yield line


def _pieces(text: str) -> Iterator[tuple[int, int, bool]]:
    """Begin and end of each block and note, as `parse` takes them, and of each line outside of any.

    The third says whether it is such a line, between conversations.
    """
    last = {mark: text.rfind(close) for mark, close in _CLOSE.items()}
    at = 0
    while opened := _OPEN.search(text, at):
        begin, at = opened.span()
        if (close := _CLOSE.get(opened[0])) is None:
            yield begin, at, True
        elif at <= last[opened[0]]:
            at = text.index(close, at) + len(close)
            yield begin, at, False


class ObjectError(ValueError):
    """An object that is not what it should be: the message says what was expected."""


_Record = TypeVar("_Record", bound=msgspec.Struct)


class _Text(msgspec.Struct, forbid_unknown_fields=True):
    text: str


class _Description(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    text: str


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    text: str
    length: Length | None = None


class _Fields(msgspec.Struct, forbid_unknown_fields=True):
    messages: list[_Message]
    title: str = ""
    tags: str | list[str] = ""
    lore: str | list[str] = []
    descriptions: list[str | _Description] = []
    scenario: str = ""
    instruction: str = ""


def conversation_of_text_field(found: Mapping[str, Any], line: int) -> Found:
    """Return the conversation of `{"text": BlockML}`.

    Raises:
        Unusable: It is no such object.
    """
    text = _fields(found, _Text, line).text
    try:
        parts = parse(text.replace("\r\n", "\n").replace("\r", "\n"))
    except BlockMLError as error:
        raise Unusable(line, f"in its text, {error}") from None
    if not parts:
        raise Unusable(line, "its text holds no block")
    return Found(tuple(parts), (line,) * len(parts))


def conversation_of_fields(found: Mapping[str, Any], line: int) -> Found:
    """Return the conversation in an object with the fields of a scene.

    That is `messages`, each with `name`, `text` and perhaps `length`, and any of `title`, `tags`,
    `lore`, `descriptions`, `scenario` and `instruction`.

    Raises:
        Unusable: It is no such object.
    """
    fields = _fields(found, _Fields, line)
    tags = fields.tags if isinstance(fields.tags, str) else ", ".join(fields.tags)
    lore = [fields.lore] if isinstance(fields.lore, str) else fields.lore
    parts: list[Part] = []
    if fields.title:
        parts.append(Block("title", fields.title))
    if tags:
        parts.append(Block("tags", tags))
    parts += [Block("lore", each) for each in lore if each]
    parts += [Block("description", _description(each)) for each in fields.descriptions]
    if fields.scenario:
        parts.append(Block("scenario", fields.scenario))
    if fields.instruction:
        parts.append(Instruction(fields.instruction))
    parts += [Block("message", each.text, each.name, each.length) for each in fields.messages]
    if not parts:
        raise Unusable(line, "its `messages` are none, and nothing else is there")
    return Found(tuple(parts), (line,) * len(parts))


def _fields(found: Mapping[str, Any], kind: type[_Record], line: int) -> _Record:
    try:
        return converted(found, kind)
    except ObjectError as error:
        raise Unusable(line, str(error)) from None


def converted(found: Mapping[str, Any], kind: type[_Record]) -> _Record:
    """Return an object's fields as a record.

    Raises:
        ObjectError: A key is unknown or missing, or a value of another type.
    """
    for key in found:
        if key not in kind.__struct_fields__:
            near = closest(key, kind.__struct_fields__)
            known = ", ".join(kind.__struct_fields__)
            hint = f"did you mean {near!r}?" if near else f"expected one of {known}"
            raise ObjectError(f"unknown key {key[:40]!r}: {hint}")
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise ObjectError(misfit(error)) from None


def _description(each: str | _Description) -> str:
    return each if isinstance(each, str) else description_body(each.name, each.text)
