"""Conversations out of a config's files, as `shoritui.interop.datasets` reads them.

    data/low/*.jsonl ─ [[source]]: who is who ─▶ Conversation(parts, file, lines)

A mistake in a file is reported with its line.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from shoritui.blockml import Block, Instruction, Part
from shoritui.errors import UserError
from shoritui.finetune.config.model import Config
from shoritui.finetune.data.sources import Sources, Told
from shoritui.finetune.events import Report, Reported
from shoritui.folders import user_path
from shoritui.interop.datasets import SUFFIXES, Found, Layout, conversations_in
from shoritui.text import clean, printable

_UNREAD: Final[Mapping[str, str]] = {
    **dict.fromkeys((".parquet", ".arrow", ".csv", ".tsv"), "save it as JSON Lines"),
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".tar"), "unpack it"),
}
"""Endings of files that hold data sets and are not read, and what to do with them."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation, as it stands in its file."""

    parts: tuple[Part, ...]
    file: str
    """From the config's folder."""
    lines: tuple[int, ...]
    """Where each part begins, counted from 1."""
    layout: Layout = "blocks"
    """How texts lie in the file."""
    unlearnt: frozenset[int] = frozenset()
    """The parts that the file says not to learn."""
    number: int = 0
    """Which one it is of those that begin in its line; 0 if it is the first."""
    added: frozenset[int] = frozenset()
    """The parts that do not stand in the file: what cards describe, and tags."""

    @classmethod
    def of(cls, found: Found, file: str) -> Self:
        """Return the conversation that was found in a file."""
        return cls(
            *(found.parts, file, found.lines, found.layout),
            *(found.unlearnt, found.number, found.added),
        )

    @property
    def source(self) -> str:
        """File and line, for people."""
        return f"{self.place(0)}#{self.number}" if self.number else self.place(0)

    def place(self, part: int) -> str:
        """File and line of a part, for people."""
        return f"{self.file}:{self.lines[part]}"

    def line(self, part: int, offset: int) -> int:
        """Return the line of a place in a part's text, as near as can be told."""
        if self.layout == "record":
            return self.lines[part]
        here = self.parts[part]
        text = here.body if isinstance(here, Block) else here.text
        below = self.layout == "blocks" and isinstance(here, Block)
        return self.lines[part] + below + text.count("\n", 0, offset)

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


def find(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Return the files that globs from a folder match, each once, sorted by name.

    A folder stands for all files of conversations below it. Files whose names begin with a dot,
    such as a desktop leaves behind, are passed over.

    Raises:
        UserError: A glob matches no file, a file of another kind, or something that is none, such
            as a link that leads nowhere.
    """
    found, wrong = found_and_wrong(folder, patterns)
    if wrong:
        raise UserError(wrong[0])
    return found


def found_and_wrong(folder: Path, patterns: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return what `find` does, and a sentence on each thing for which it would raise.

    Raises:
        UserError: A pattern is no glob, or a folder cannot be read.
    """
    found: dict[str, Path] = {}
    wrong: dict[str, str] = {}
    for pattern in patterns:
        files = sorted(_matched(folder, pattern), key=_depth)
        if not files:
            wrong[pattern] = f"{pattern!r} matches no file in {folder}: put conversations there."
        for path in files:
            real = os.path.realpath(path)  # what links lead to, also in a circle, is one file
            if why := _odd(path):
                wrong.setdefault(
                    real, f"{name_of(path, folder)}, which {pattern!r} matches, {why}."
                )
            elif real not in found or _depth(path) < _depth(found[real]):
                found[real] = path
    return sorted(found.values()), list(wrong.values())


def _depth(path: Path) -> tuple[int, Path]:
    return len(path.parts), path


def _matched(folder: Path, pattern: str) -> set[Path]:
    """Return what a glob matches: all but folders, and of these what lies below them."""
    found: set[Path] = set()
    for path in _glob(folder, pattern):
        if not path.name.startswith("."):
            found.update(_below(path) if path.is_dir() else [path])
    return found


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files of conversations below a folder and folders that are linked there, data sets
    that are not read, and links that lead nowhere.

    Raises:
        UserError: A folder cannot be read.
    """
    seen: set[str] = set()
    for here, folders, names in os.walk(folder, onerror=_unreadable, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if (real := os.path.realpath(here)) in seen:
            folders.clear()
            continue
        seen.add(real)
        for path in (Path(here, name) for name in names if not name.startswith(".")):
            if path.suffix.lower() in (*SUFFIXES, *_UNREAD) or not path.exists():
                yield path


def _unreadable(error: OSError) -> None:
    raise UserError(f"{printable(error.filename)} cannot be read: {error.strerror}.") from None


def _odd(path: Path) -> str:
    """Return why something is no file of conversations, and what to do; nothing if it is one."""
    suffix, expected = path.suffix.lower(), f"expected {', '.join(SUFFIXES)}"
    if not path.exists():
        return "leads nowhere: bring back what it is a link to, or take it out"
    if not path.is_file():
        return "is no plain file: take it out"
    if suffix in _UNREAD:
        return f"is no file of conversations: {expected}; {_UNREAD[suffix]}"
    return "" if suffix in SUFFIXES else f"is no file of conversations: {expected}"


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
        not _matched(folder, pattern) and user_path(pattern, folder).parent.is_dir()
        for pattern in patterns
    )


def read(
    config: Config,
    files: Sequence[Path],
    where: Where = lambda tags: True,
    sources: Sources | None = None,
) -> list[Conversation]:
    """Return the wanted conversations of these files, which the config's sources describe.

    Raises:
        UserError: A file cannot be read as what it should be; the sentence names file and line.
    """
    sources = sources or Sources(config, find)
    wanted: list[Conversation] = []
    for file in files:
        for each in conversations_of(file, sources):
            if isinstance(each, Told):
                raise UserError(each.whole)
            if where(each.tags):
                wanted.append(each)
    return wanted


def conversations_of(path: Path, sources: Sources) -> Iterator[Conversation | Told]:
    """Yield one file's conversations, or what is wrong in place of one.

    Raises:
        UserError: A card of its source cannot be used.
    """
    name = name_of(path, sources.folder)
    for each in conversations_in(path, sources.reading(path)):
        if isinstance(each, Found):
            yield Conversation.of(each, name)
        else:
            yield sources.told(path, name, each)


def name_of(path: Path, folder: Path) -> str:
    """Return a file's name as people read it."""
    shown = path.relative_to(folder) if path.is_relative_to(folder) else path
    return clean(shown.as_posix()).replace("\n", " ")


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
