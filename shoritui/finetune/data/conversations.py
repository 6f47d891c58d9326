"""Conversations out of files: BlockML text, or one JSON object a line.

    mine.txt     ▀title▐ ... ▄ ... ▀Mara▐ ... ▄
                 ---
                 ▀Ilse▐ ... ▄
    mine.jsonl   {"text": BlockML}
                 {"scenario": "...", "messages": [{"name": "Mara", "text": "..."}]}

A mistake in a file is reported with its line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from shoritui.blockml import (
    Block,
    BlockMLError,
    Instruction,
    Length,
    Part,
    check_name,
    description_body,
    parse,
)
from shoritui.errors import UserError
from shoritui.finetune.config.model import Config
from shoritui.finetune.events import Report, Reported
from shoritui.folders import user_path
from shoritui.text import clean, closest


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation, as it stands in its file."""

    parts: tuple[Part, ...]
    file: str
    """From the config's folder."""
    lines: tuple[int, ...]
    """Where each part begins, counted from 1."""

    @property
    def source(self) -> str:
        """File and line, for people."""
        return self.place(0)

    def place(self, part: int) -> str:
        """File and line of a part, for people."""
        return f"{self.file}:{self.lines[part]}"

    @property
    def messages(self) -> list[Block]:
        """What is said, in order."""
        return [part for part in self.parts if isinstance(part, Block) and part.role == "message"]

    @property
    def tags(self) -> frozenset[str]:
        """The tags of its tags blocks, as they are written."""
        blocks = (p.body for p in self.parts if isinstance(p, Block) and p.role == "tags")
        tags = (" ".join(tag.split()) for body in blocks for tag in body.split(","))
        return frozenset(tag for tag in tags if tag)

    def digest(self) -> str:
        """Names what is said: the same for copies with other hints, headers or white space."""
        digest = hashlib.sha256()
        for part in self.messages or self.parts:
            text = part.text if isinstance(part, Instruction) else f"{part.name}:{part.body}"
            digest.update(" ".join(text.casefold().split()).encode() + b"\0")
        return digest.hexdigest()


Where = Callable[[frozenset[str]], bool]
"""Whether a conversation with these tags is wanted."""

SUFFIXES: Final = (".txt", ".blockml", ".jsonl")
# A block or a note, as `parse` takes them; or, outside of any, a line between conversations.
_PIECE = re.compile(r"▀[^▄]*▄|\[INST\] .*? \[/INST\]|^(?P<line>-{3,} *)$", re.DOTALL | re.MULTILINE)


def find(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Return the files that globs from a folder match, each once, sorted by name.

    Files whose names begin with a dot, such as a desktop leaves behind, are passed over.

    Raises:
        UserError: A glob matches no file, or a file of another kind.
    """
    found: set[Path] = set()
    for pattern in patterns:
        paths = (path for path in _glob(folder, pattern) if not path.name.startswith("."))
        files = {path for path in paths if path.is_file()}
        if not files:
            raise UserError(f"{pattern!r} matches no file in {folder}: put conversations there.")
        odd = min((path for path in files if path.suffix.lower() not in SUFFIXES), default=None)
        if odd is not None:
            raise UserError(
                f"{name_of(odd, folder)}, which {pattern!r} matches, is no file of conversations: "
                f"expected {', '.join(SUFFIXES)}."
            )
        found |= files
    return sorted(found)


def filled(config: Config, report: Report) -> Config:
    """Return the config without the tiers whose folders are there, but hold no conversations.

    What builds on such a tier builds on the one before it. A config of nothing else stays as it is.
    """
    folder = config.path.parent
    empty = {tier.name: tier.after for tier in config.tiers if _is_empty(folder, tier.files)}
    if not empty or len(empty) == len(config.tiers):
        return config
    report(Reported(f"Left out, since no conversations are there yet: {', '.join(empty)}."))

    def parent(name: str) -> str:
        return parent(empty[name]) if name in empty else name

    kept = (tier for tier in config.tiers if tier.name not in empty)
    return replace(config, tiers=tuple(replace(tier, after=parent(tier.after)) for tier in kept))


def _is_empty(folder: Path, patterns: Sequence[str]) -> bool:
    """Whether all files of these patterns are still to come, by folders that are made for them."""
    return all(
        not any(path.is_file() for path in _glob(folder, pattern))
        and user_path(pattern, folder).parent.is_dir()
        for pattern in patterns
    )


def read(
    folder: Path, files: Sequence[Path], where: Where = lambda tags: True
) -> list[Conversation]:
    """Return the wanted conversations of these files, whose names people read from `folder`.

    Raises:
        UserError: A file cannot be read as what it should be; the sentence names file and line.
    """
    every = (each for file in files for each in conversations_of(file, name_of(file, folder)))
    return [conversation for conversation in every if where(conversation.tags)]


def conversations_of(path: Path, name: str) -> Iterator[Conversation]:
    """Yield one file's conversations; `name` is the file's for people.

    Raises:
        UserError: The file cannot be read, or does not hold conversations.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}.") from None
    text = decoded(data, name)
    is_json = path.suffix.lower() == ".jsonl"
    return _of_objects(text, name) if is_json else _of_text(text, name)


def _glob(folder: Path, pattern: str) -> list[Path]:
    wrong = UserError(f"{pattern!r} is no glob: expected one such as 'data/*.txt'.")
    if not pattern.strip():
        raise wrong
    whole = user_path(pattern)
    if whole.is_absolute():
        folder, whole = Path(whole.anchor), whole.relative_to(whole.anchor)
    try:
        return list(folder.glob(str(whole)))
    except (ValueError, IndexError):
        raise wrong from None


def decoded(data: bytes, name: str) -> str:
    """Return a file's text, whose lines end with a newline only.

    Raises:
        UserError: It is not UTF-8; the sentence names the line.
    """
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
    return Conversation(tuple(map(cleaned, parts)), name, tuple(lines))


def cleaned(part: Part) -> Part:
    """Return a part without what a terminal would act on."""
    if isinstance(part, Block):
        return replace(part, body=clean(part.body))
    return replace(part, text=clean(part.text))


def name_of(path: Path, folder: Path) -> str:
    """Return a file's name as people read it."""
    shown = path.relative_to(folder) if path.is_relative_to(folder) else path
    return clean(shown.as_posix()).replace("\n", " ")


class ObjectError(ValueError):
    """A line that is no conversation: the message says what was expected."""


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


def parts_of(line: str) -> list[Part]:
    """Return the parts of the conversation in a JSON object.

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
        return _parts_in(converted(found, _Text).text)
    if "messages" not in found:
        raise ObjectError("expected `text`, which is BlockML, or `messages`")
    return _parts_from(converted(found, _Fields))


def converted(found: dict[str, Any], kind: type[_Record]) -> _Record:
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
        raise ObjectError(str(error).replace("$.", "")) from None


def _parts_in(text: str) -> list[Part]:
    try:
        parts = parse(text.replace("\r\n", "\n").replace("\r", "\n"))
    except BlockMLError as error:
        raise ObjectError(f"in its text, {error}") from None
    if not parts:
        raise ObjectError("its text holds no block")
    return parts


def _parts_from(fields: _Fields) -> list[Part]:
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
