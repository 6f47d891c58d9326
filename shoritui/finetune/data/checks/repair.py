"""Copies of a config's conversations with what is mechanical mended, in a folder of their own.

data/low/a.txt      ->  new/data/low/a.txt
data/low/b.jsonl    ->  new/data/low/b.jsonl       BlockML in its lines
logs/chat.json      ->  new/logs/chat.json.txt
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from shoritui.blockml import Block, Instruction, Part, render_all
from shoritui.errors import UserError
from shoritui.files import replace_text, temporary_folder, whole_folder, why
from shoritui.finetune.config.model import Config, Tier
from shoritui.finetune.data.checks.refusals import vocabulary_of
from shoritui.finetune.data.checks.repaired_text import Edit, repaired_source, repaired_text
from shoritui.finetune.data.conversations import Conversation, filled, find, name_of
from shoritui.finetune.data.findings import Finding, check_conversation
from shoritui.finetune.data.samples import earned
from shoritui.finetune.data.sources import Sources
from shoritui.finetune.data.tokenizer import Tokenizer
from shoritui.finetune.events import Preparing, Report
from shoritui.interop.datasets import Found, Unusable, conversations_in, text_of
from shoritui.text import as_json, counted, printable

_BLOCKML: Final = (".txt", ".blockml")
_ELSEWHERE: Final = "elsewhere"
"""In which folder lie the copies of files that are not below the config's."""
_WIDEST: Final = 40


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was mended, and where it stood."""

    file: str
    line: int
    kind: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of the conversations of a config."""

    folder: Path
    texts: dict[Path, str]
    """The new files, by their paths in the folder."""
    changes: tuple[Change, ...]
    left: tuple[Finding, ...]
    """What only a person can mend, by file and line."""
    knows_hints: bool
    """Whether length hints could be computed."""

    @property
    def is_whole(self) -> bool:
        """Whether every conversation has a copy."""
        return not any(each.severity == "error" for each in self.left)

    def facts(self) -> dict[str, Any]:
        """Return it for a script."""
        return {
            "folder": str(self.folder),
            "files": [path.as_posix() for path in self.texts],
            "changes": [asdict(each) for each in self.changes],
            "left": [asdict(each) for each in self.left],
            "hints": self.knows_hints,
        }


def repair(config: Config, folder: Path, report: Report = lambda event: None) -> Repaired:
    """Write copies of all conversations of a config into a new folder, or nothing.

    Raises:
        UserError: The folder is not empty, or cannot be written.
    """
    _expect_empty(folder)
    repaired = _repaired(filled(config, report), folder, report)
    try:
        with whole_folder(folder) as beside:
            for path, text in repaired.texts.items():
                replace_text(beside / path, text)
    except OSError as error:
        raise UserError(f"{printable(folder)} cannot be written: {why(error)}.") from None
    return repaired


def lines_of(repaired: Repaired) -> Iterator[str]:
    """Yield what was mended and what is left, as lines for people."""
    for each, count in Counter(repaired.changes).items():
        place, times = f"{each.file}:{each.line}", f" ({count:,} times)" if count > 1 else ""
        yield f"{place}: {each.kind}: {_cut(each.before)} -> {_cut(each.after)}{times}"
    if repaired.left:
        yield ""
        yield "Left for a person:"
    for finding in repaired.left:
        place = f"{finding.file}:{finding.line}" if finding.line else finding.file
        kind = "error" if finding.severity == "error" else finding.kind
        yield f"{place}: {kind}: {' '.join(finding.sentence.split())}"
    yield ""
    if not repaired.knows_hints:
        yield "Length hints stay as they are: the base's vocabulary is not on this machine."
    copies = counted(len(repaired.texts), "file")
    mended = counted(len(repaired.changes), "repair")
    yield f"{mended} in {copies}, in {repaired.folder}. Left: {len(repaired.left):,}."
    yield (
        "To train on them, copy the config there, take out its [[source]] tables, and let each "
        "tier's data end in .txt, as the copies do."
    )


def _cut(text: str) -> str:
    shown = text.replace("\n", "⏎")
    shown = shown if len(shown) <= _WIDEST else f"{shown[: _WIDEST - 1]}…"
    return as_json(shown)


def _expect_empty(folder: Path) -> None:
    try:
        is_free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    except OSError as error:
        raise UserError(f"{printable(folder)} cannot be read: {error.strerror}.") from None
    if not is_free:
        raise UserError(f"{printable(folder)} is not empty: name a new folder for the copies.")


def _repaired(config: Config, folder: Path, report: Report) -> Repaired:
    tokenizer: Tokenizer | None = None
    with suppress(UserError):  # check says what is wrong with it
        tokenizer = vocabulary_of(config)
    copier = _Copier(Sources(config, find), tokenizer)
    files: dict[Path, Tier] = {}
    for tier in config.tiers:
        if tier.kind == "conversation":
            for file in find(config.path.parent, tier.files):
                files.setdefault(file, tier)
    for number, (file, tier) in enumerate(files.items()):
        report(Preparing("repairing files", number, len(files)))
        copier.copy(file, tier)
    report(Preparing("repairing files", len(files), len(files)))
    return Repaired(
        folder,
        copier.texts,
        tuple(sorted(copier.changes, key=lambda each: (each.file, each.line))),
        tuple(sorted(copier.left, key=lambda each: (each.file, each.line))),
        tokenizer is not None,
    )


class _Copier:
    """Mends files, one after the other."""

    def __init__(self, sources: Sources, tokenizer: Tokenizer | None) -> None:
        self.texts: dict[Path, str] = {}
        self.changes: list[Change] = []
        self.left: list[Finding] = []
        self._sources = sources
        self._tokenizer = tokenizer

    def copy(self, file: Path, tier: Tier) -> None:
        """Mend the conversations of a file."""
        name = name_of(file, self._sources.folder)
        mended: list[list[Part]] = []
        for each in self._read(file, name):
            if not isinstance(each, Conversation):
                told = self._sources.told(file, name, each)
                self.left.append(Finding(name, told.line, "error", "unusable", told.sentence))
                continue
            parts = [self._part(each, at, tier) for at in range(len(each.parts))]
            kept = [at for at, part in enumerate(parts) if _says_something(part)]
            kept = kept or [*range(len(parts))]
            for at in set(range(len(parts))) - set(kept):
                self._note(each, at, Edit(-1, "empty block", render_all([parts[at]]), ""))
            mended.append([parts[at] for at in kept])
            copy = replace(each, parts=tuple(parts))
            self.left += check_conversation(copy).findings
            if each.unlearnt:
                sentence = f"says not to learn {counted(len(each.unlearnt), 'block')}, which "
                sentence += "BlockML cannot say: use not_speakers, or leave this one as it is"
                self.left.append(Finding(name, each.lines[0], "warning", "unusable", sentence))
        if mended:
            path, text = _written(file, self._sources.folder, mended)
            while path in self.texts:  # `a.json` and `a.json.txt`
                path = path.with_stem(f"{path.stem}-2")
            self.texts[path] = text

    def _read(self, file: Path, name: str) -> Iterator[Conversation | Unusable]:
        """Yield what a file holds; one of BlockML text is made readable before."""
        reading = self._sources.reading(file)
        with temporary_folder() as scratch:
            path = file
            if file.suffix.lower() in _BLOCKML:
                with suppress(Unusable):
                    text, edits = repaired_source(text_of(file))
                    if edits:
                        path = scratch / f"copy{file.suffix}"
                        path.write_text(text, encoding="utf-8", newline="\n")
                        self.changes += [
                            Change(name, each.line + 1, each.kind, each.before, each.after)
                            for each in edits
                        ]
            for found in conversations_in(path, reading):
                if isinstance(found, Found):
                    yield Conversation.of(found, name)
                else:
                    yield found

    def _part(self, conversation: Conversation, at: int, tier: Tier) -> Part:
        part = conversation.parts[at]
        if isinstance(part, Instruction):
            text, edits = repaired_text(part.text, is_message=False)
            new: Part = replace(part, text=text)
        else:
            text, edits = repaired_text(part.body, is_message=part.role == "message")
            new = replace(part, body=text)
            if part.length is not None and self._tokenizer is not None:
                hint = earned(len(self._tokenizer.ids(" " + text)), tier.data)
                if hint != part.length:
                    edits.append(Edit(-1, "length hint", part.length, hint))
                new = replace(new, length=hint)
        for each in edits:
            self._note(conversation, at, each)
        return new

    def _note(self, conversation: Conversation, at: int, edit: Edit) -> None:
        line = conversation.lines[at]
        if conversation.layout != "record":
            is_below = conversation.layout == "blocks" and isinstance(conversation.parts[at], Block)
            line += max(0, edit.line + is_below)
        self.changes.append(Change(conversation.file, line, edit.kind, edit.before, edit.after))


def _says_something(part: Part) -> bool:
    """Whether a part is not empty; a message stays, since somebody speaks."""
    if isinstance(part, Instruction):
        return bool(part.text.strip())
    return part.role == "message" or bool(part.body.strip())


def _written(file: Path, folder: Path, conversations: Sequence[Sequence[Part]]) -> tuple[Path, str]:
    """Return where in the new folder a file's conversations go, and their text."""
    # A pattern may lead out of the folder; what is linked has its copy where the link is.
    whole, root = (Path(os.path.abspath(each)) for each in (file, folder))  # noqa: PTH100
    is_below = whole.is_relative_to(root)
    path = whole.relative_to(root) if is_below else Path(_ELSEWHERE, *whole.parts[1:])
    texts = [render_all(parts) for parts in conversations]
    if file.suffix.lower() == ".jsonl":
        lines = (as_json({"text": text}) for text in texts)
        return path, "".join(f"{line}\n" for line in lines)
    if file.suffix.lower() not in _BLOCKML:
        path = path.with_name(f"{path.name}.txt")
    return path, "---\n".join(texts)
