"""A conversation as a JSON object: its BlockML in one string, or its fields one by one.

It does not know files; who calls knows which line the object is.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

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


class ObjectError(ValueError):
    """A line that is no conversation: the message says what was expected."""


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


def parts_of(line: str) -> list[Part]:
    """The parts of the conversation that a JSON object tells.

    Either `{"text": BlockML}`, or `messages`, each with `name`, `text` and perhaps `length`, and
    any of `title`, `tags`, `lore`, `descriptions`, `scenario` and `instruction`.

    Raises:
        ObjectError: It is no such object.
    """
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ObjectError(f"this line is not JSON ({error})") from None
    if not isinstance(found, dict):
        raise ObjectError("expected a JSON object, { ... }, with `text` or `messages`")
    if "text" in found:
        return _parsed(_converted(found, _Text).text)
    if "messages" not in found:
        raise ObjectError("expected `text`, which is BlockML, or `messages`")
    return _listed(_converted(found, _Fields))


def _converted(found: dict[str, Any], kind: type[msgspec.Struct]) -> Any:
    for key in found:
        if key not in kind.__struct_fields__:
            nearest = get_close_matches(key, kind.__struct_fields__, n=1)
            known = ", ".join(kind.__struct_fields__)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"expected one of {known}"
            raise ObjectError(f"unknown key {key[:40]!r}: {hint}")
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise ObjectError(str(error).replace("$.", "")) from None


def _parsed(text: str) -> list[Part]:
    try:
        parts = parse(text.replace("\r\n", "\n").replace("\r", "\n"))
    except BlockMLError as error:
        raise ObjectError(f"in its text, {error}") from None
    if not parts:
        raise ObjectError("its text holds no block")
    return parts


def _listed(fields: _Fields) -> list[Part]:
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
        raise ObjectError("its `messages` are none, and nothing else is there")
    return parts


def _description(each: str | _Description) -> str:
    return each if isinstance(each, str) else description_body(each.name, each.text)
