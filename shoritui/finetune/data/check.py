"""What is wrong in the data of a config, and a score for each conversation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from shoritui.blockml import Block
from shoritui.blockml.narration import words_of
from shoritui.errors import UserError
from shoritui.finetune.config.model import Config, Tier
from shoritui.finetune.config.tag_filter import parse_where
from shoritui.finetune.data.checks.refusals import UNCHECKED, finding_of, refusals
from shoritui.finetune.data.conversations import (
    Conversation,
    conversations_of,
    filled,
    find,
    found_and_wrong,
    name_of,
)
from shoritui.finetune.data.findings import Checked, Finding, Kind, check_conversation
from shoritui.finetune.data.held_out import held_out
from shoritui.finetune.data.preferences import Preference, preferences_of
from shoritui.finetune.data.sources import Sources, Told
from shoritui.finetune.events import Preparing, Report
from shoritui.text import counted, table

_HEAD: Final = ("score", "messages", "words each", "narration", "with faults", "conversation")
_SCORE: Final = (
    "A score of 100 is the sum of 30 for messages of 80 words or more on average, 15 for at least "
    "40% narration, 40 for messages without faults, and 15 for no repeated phrases; the worst "
    "conversations come first."
)
_AT_ONCE: Final = 8
"""Conversations between two reports of progress."""


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation of the report."""

    checked: Checked
    tiers: tuple[str, ...]
    """The tiers that read it."""


@dataclass(frozen=True, slots=True)
class Findings:
    """All that was found."""

    rows: tuple[Row, ...]
    """The conversations in the order of tiers and files."""
    findings: tuple[Finding, ...]
    """By file and line."""
    conversations: tuple[Conversation, ...] = ()
    """What the rows are of."""
    preferences: int = 0
    """How many there are in tiers of preferences, each counted once a tier."""
    is_measured: bool = True
    """Whether it was looked at how many tokens blocks have."""

    @property
    def errors(self) -> int:
        """How many things cannot be used."""
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def warnings(self) -> int:
        """How many things a person should look at."""
        return len(self.findings) - self.errors


def check_data(config: Config, report: Report = lambda event: None) -> Findings:
    """Look through every conversation that a tier reads, each once."""
    config = filled(config, report)
    files = _Files(config)
    tiers: dict[int, list[str]] = defaultdict(list)
    found: dict[int, Conversation] = {}
    read: dict[str, list[Conversation] | list[Preference]] = {}
    for tier in config.tiers:
        if tier.kind == "preference":
            read[tier.name] = list(files.preferences(tier))
            continue
        read[tier.name] = told = list(files.read(tier))
        for conversation in told:
            tiers[id(conversation)].append(tier.name)
            found[id(conversation)] = conversation
    checked: list[Checked] = []
    for number, conversation in enumerate(found.values()):
        if number % _AT_ONCE == 0:
            report(Preparing("checking conversations", number, len(found)))
        checked.append(check_conversation(conversation))
    report(Preparing("checking conversations", len(found), len(found)))
    rows = tuple(Row(each, tuple(tiers[key])) for key, each in zip(found, checked, strict=True))
    findings = [finding for each in checked for finding in each.findings]
    problems = files.problems
    findings += [*problems, *_copies(config, rows, list(found.values()))]
    refused, is_measured = refusals(config, read, problems, report)
    ordered = tuple(sorted(findings + refused, key=lambda each: (each.file, each.line)))
    pairs = sum(len(read[tier.name]) for tier in config.tiers if tier.kind == "preference")
    return Findings(rows, ordered, tuple(found.values()), pairs, is_measured)


class _Files:
    """The files of a config, each read once; what is wrong with one does not hide the others."""

    def __init__(self, config: Config) -> None:
        self._folder = config.path.parent
        self._config = config.path.name
        self._sources = Sources(config, find)
        self._read: dict[Path, list[Conversation]] = {}
        self._told: dict[tuple[str, str], list[int]] = defaultdict(list)
        """What was told of files, and the lines it is told of."""
        self._problems: list[Finding] = []

    @property
    def problems(self) -> list[Finding]:
        """What cannot be used; what is wrong in many lines of a file is told once."""
        found = list(self._problems)
        for (file, sentence), lines in self._told.items():
            more = f" (and in {counted(len(lines) - 1, 'more place')})" if len(lines) > 1 else ""
            found.append(Finding(file, lines[0], "error", "unusable", sentence + more))
        return found

    def read(self, tier: Tier) -> Iterator[Conversation]:
        """What a tier reads."""
        where = parse_where(tier.where)
        for file in self._files(tier):
            if file not in self._read:
                self._read[file] = list(self._conversations(file))
            yield from (each for each in self._read[file] if where.allows(each.tags))

    def preferences(self, tier: Tier) -> Iterator[Preference]:
        """What a tier of preferences reads."""
        where = parse_where(tier.where)
        for file in self._files(tier):
            name = name_of(file, self._folder)
            for each in preferences_of(file, name):
                if isinstance(each, UserError):
                    found = finding_of(str(each), name)
                    self._told[name, found.sentence].append(found.line)
                elif where.allows(each.tags):
                    yield each

    def _files(self, tier: Tier) -> list[Path]:
        try:
            files, wrong = found_and_wrong(self._folder, tier.files)
        except UserError as error:
            files, wrong = [], [str(error)]
        for each in wrong:
            sentence = f"tier {tier.name}: {each}"
            self._problems.append(Finding(self._config, 0, "error", "unusable", sentence))
        return files

    def _conversations(self, file: Path) -> Iterator[Conversation]:
        for each in conversations_of(file, self._sources):
            if isinstance(each, Told):
                self._told[each.file, each.sentence].append(each.line)
            else:
                yield each


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
        if tier.kind == "conversation"
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


def _finding(conversation: Conversation, kind: Kind, sentence: str) -> Finding:
    return Finding(conversation.file, conversation.lines[0], "warning", kind, sentence)


def _shown(row: Row) -> str:
    return f"{row.checked.source} ({', '.join(row.tiers)})"


def _words(conversation: Conversation) -> list[str]:
    """The words of what is said, or of everything where nothing is."""
    parts = conversation.messages or conversation.parts
    texts = (part.body if isinstance(part, Block) else part.text for part in parts)
    return [word for text in texts for word in words_of(text)]


def lines_of(findings: Findings) -> Iterator[str]:
    """Yield the findings and the table of scores, as lines for people."""
    for finding in findings.findings:
        place = f"{finding.file}:{finding.line}" if finding.line else finding.file
        sentence = " ".join(finding.sentence.split())
        kind = "error" if finding.severity == "error" else finding.kind
        yield f"{place}: {kind}: {sentence}"
    if findings.findings:
        yield ""
    if findings.rows:
        rows = [_row(row) for row in sorted(findings.rows, key=_rank)]
        yield from table([_HEAD, *rows], right=range(len(_HEAD) - 1))
        yield ""
        yield _SCORE
    if not findings.is_measured:
        yield UNCHECKED
    pairs = f" Preferences: {findings.preferences:,}." if findings.preferences else ""
    told = f"Conversations: {len(findings.rows):,}.{pairs}"
    yield f"{told} Errors: {findings.errors:,}. Warnings: {findings.warnings:,}."


def _rank(row: Row) -> tuple[int, int]:
    """The worst first, and last what has no score."""
    score = row.checked.score
    return (1, 0) if score is None else (0, score)


def _row(row: Row) -> tuple[str, ...]:
    each = row.checked
    if each.score is None:
        return "-", "0", "-", "-", "-", _shown(row)
    return (
        str(each.score),
        f"{each.messages:,}",
        f"{each.words / each.messages:.0f}",
        f"{each.narrated / max(each.words, 1):.0%}",
        f"{each.faulty:,}",
        _shown(row),
    )


def facts_of(findings: Findings) -> dict[str, Any]:
    """Return all that was found, for a script."""
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
            for row in findings.rows
        ],
        "findings": [asdict(finding) for finding in findings.findings],
        "preferences": findings.preferences,
        "measured": findings.is_measured,
        "errors": findings.errors,
        "warnings": findings.warnings,
    }
