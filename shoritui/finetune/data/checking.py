"""`finetune check`: what is wrong in the data of a config, and a score for each conversation.

It tells only what other modules find; torch and the base are not needed.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from shoritui.blockml import Block, clean
from shoritui.errors import UserError
from shoritui.finetune.config.choose import chosen
from shoritui.finetune.config.model import Config, Tier
from shoritui.finetune.config.where import parse_where
from shoritui.finetune.data.checks import Checked, Finding, check_conversation
from shoritui.finetune.data.conversation import Conversation
from shoritui.finetune.data.conversations import conversations_of, find, name_of
from shoritui.finetune.data.evaluation import held_out
from shoritui.finetune.data.prose import words_of
from shoritui.finetune.data.telling import tell
from shoritui.finetune.events import Preparing

_SCORE: Final = (
    "The score of 100: 30 for 80 words a message, 15 for 40 % of narration, 40 for messages "
    "without a finding, 15 for no phrase that comes back."
)
_AT_ONCE: Final = 8
"""Conversations between two words of progress."""


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation of the report."""

    checked: Checked
    tiers: tuple[str, ...]
    """The tiers that read it."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found."""

    rows: tuple[Row, ...]
    """The conversations in the order of tiers and files."""
    findings: tuple[Finding, ...]
    """By file and line."""

    @property
    def errors(self) -> int:
        """How many things cannot be used."""
        return sum(finding.severity == "error" for finding in self.findings)


def check(options: argparse.Namespace) -> int:
    """Prints what is wrong and the scores; the exit code is 1 if data cannot be used.

    Raises:
        UserError: The config is not right.
    """
    report = report_of(chosen(options))
    if options.json:
        print(json.dumps(_facts(report), indent=2))
    else:
        for line in _lines(report):
            print(clean(line))
    return 1 if report.errors else 0


def report_of(config: Config) -> Report:
    """Looks through every conversation that a tier reads, each once."""
    shelf = _Shelf(config)
    tiers: dict[str, list[str]] = defaultdict(list)
    told: dict[str, Conversation] = {}
    for tier in config.tiers:
        for conversation in shelf.read(tier):
            tiers[conversation.source].append(tier.name)
            told[conversation.source] = conversation
    checked: list[Checked] = []
    for number, conversation in enumerate(told.values()):
        if number % _AT_ONCE == 0:
            tell(Preparing("checking conversations", number, len(told)))
        checked.append(check_conversation(conversation))
    tell(Preparing("checking conversations", len(told), len(told)))
    rows = tuple(Row(each, tuple(tiers[each.source])) for each in checked)
    findings = [finding for each in checked for finding in each.findings]
    findings += [*shelf.problems, *_copies(config, rows, list(told.values()))]
    return Report(rows, tuple(sorted(findings, key=lambda each: (each.file, each.line))))


class _Shelf:
    """The files of a config, each read once; what is wrong with one does not hide the others."""

    def __init__(self, config: Config) -> None:
        self._folder = config.path.parent
        self._config = config.path.name
        self._read: dict[Path, list[Conversation]] = {}
        self.problems: list[Finding] = []

    def read(self, tier: Tier) -> Iterator[Conversation]:
        """What a tier reads."""
        where = parse_where(tier.where)
        try:
            files = find(self._folder, tier.files)
        except UserError as error:
            sentence = f"tier {tier.name}: {error}"
            self.problems.append(Finding(self._config, 0, "error", "unusable", sentence))
            return
        for file in files:
            if file not in self._read:
                self._read[file] = list(self._conversations(file))
            yield from (told for told in self._read[file] if where.allows(told.tags))

    def _conversations(self, file: Path) -> Iterator[Conversation]:
        name = name_of(file, self._folder)
        try:
            yield from conversations_of(file, name)
        except UserError as error:
            match = re.match(r":(\d+)|: line (\d+)", str(error).removeprefix(name))
            line = int(match[1] or match[2]) if match else 0
            sentence = str(error).removeprefix(name)[match.end() if match else 0 :].lstrip(": ")
            rest = "; the rest of the file was not looked at"
            told = f"{sentence.removesuffix('.')}{rest}"
            self.problems.append(Finding(name, line, "error", "unusable", told))


def _copies(
    config: Config, rows: Sequence[Row], conversations: Sequence[Conversation]
) -> Iterator[Finding]:
    """Conversations that are there more than once, or nearly, also across the held-out line."""
    from shoritui.finetune.data.duplicates import near_duplicates  # numpy

    first: dict[str, int] = {}
    for index, row in enumerate(rows):
        other = first.setdefault(row.checked.digest, index)
        if other != index:
            sentence = f"the same as {_shown(rows[other])}"
            yield _finding(conversations[index], "duplicate", sentence)
    held = held_out(
        (
            frozenset(row.checked.digest for row in rows if tier.name in row.tiers),
            tier.data.evaluation,
        )
        for tier in config.tiers
    )
    single = list(first.values())
    for pair in near_duplicates([_words(conversations[index]) for index in single]):
        here, there = single[pair.second], single[pair.first]
        share = f"{pair.share:.0%} the same as"
        is_held = [rows[index].checked.digest in held for index in (here, there)]
        if is_held[0] == is_held[1]:
            sentence = f"{share} {_shown(rows[there])}"
            yield _finding(conversations[here], "near-duplicate", sentence)
        else:
            kept, learnt = (here, there) if is_held[0] else (there, here)
            sentence = f"held out for evaluation, but {share} {_shown(rows[learnt])}, which is not"
            yield _finding(conversations[kept], "held out", sentence)


def _finding(told: Conversation, kind: Any, sentence: str) -> Finding:
    return Finding(told.file, told.lines[0], "warning", kind, sentence)


def _shown(row: Row) -> str:
    return f"{row.checked.source} ({', '.join(row.tiers)})"


def _words(told: Conversation) -> list[str]:
    """The words of what is said, or of everything where nothing is."""
    parts = told.messages or told.parts
    texts = (part.body if isinstance(part, Block) else part.text for part in parts)
    return [word for text in texts for word in words_of(text)]


def _lines(report: Report) -> Iterator[str]:
    for finding in report.findings:
        place = f"{finding.file}:{finding.line}" if finding.line else finding.file
        sentence = " ".join(finding.sentence.split())
        yield f"{place}: {finding.severity}: {finding.kind}: {sentence}"
    if report.findings:
        yield ""
    if report.rows:
        yield "score  messages  words each  narration  with faults  conversation"
        yield from (_row(row) for row in sorted(report.rows, key=_rank))
        yield ""
        yield _SCORE
    warnings = len(report.findings) - report.errors
    yield (
        f"Conversations: {len(report.rows):,}. Errors: {report.errors:,}. Warnings: {warnings:,}."
    )


def _rank(row: Row) -> tuple[int, int]:
    """The worst first, and last what has no score."""
    score = row.checked.score
    return (1, 0) if score is None else (0, score)


def _row(row: Row) -> str:
    each = row.checked
    if each.score is None:
        return f"{'-':>5}  {0:>8}  {'-':>10}  {'-':>9}  {'-':>11}  {_shown(row)}"
    narrated = f"{each.narrated / max(each.words, 1):.0%}"
    words = f"{each.words / each.messages:.0f}"
    return (
        f"{each.score:>5}  {each.messages:>8,}  {words:>10}  {narrated:>9}  {each.faulty:>11,}  "
        f"{_shown(row)}"
    )


def _facts(report: Report) -> dict[str, Any]:
    return {
        "conversations": [
            {
                "source": row.checked.source,
                "tiers": row.tiers,
                "score": row.checked.score,
                "messages": row.checked.messages,
                "words": row.checked.words,
                "narrated_words": row.checked.narrated,
                "messages_with_findings": row.checked.faulty,
                "repeated_phrases": row.checked.repeated,
            }
            for row in report.rows
        ],
        "findings": [asdict(finding) for finding in report.findings],
        "errors": report.errors,
        "warnings": len(report.findings) - report.errors,
    }
