"""What is wrong in one conversation, each thing with its file and line, and its score.

It does not know tiers, nor other conversations.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from shoritui.blockml import BLOCK_CLOSE, BLOCK_OPEN, Block
from shoritui.finetune.data.conversation import Conversation
from shoritui.finetune.data.prose import Prose, measure, words_of

Severity = Literal["error", "warning"]
Kind = Literal[
    "unusable",
    "duplicate",
    "near-duplicate",
    "held out",
    "open mark",
    "curly quote",
    "address",
    "user name",
    "out of character",
    "first person",
    "present tense",
    "repeated phrase",
    "empty block",
    "block character",
]

_PATTERNS: Final[tuple[tuple[Kind, str, re.Pattern[str]], ...]] = (
    ("curly quote", "quotes are written straight here", re.compile("[“”„‟‘’‚‛«»]")),
    ("address", "an address", re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)),
    (
        "user name",
        "a placeholder in place of a name",
        re.compile(
            r"\{\{\s*(?:user|char|persona|original)\s*\}\}|<(?:user|bot|start|char)>", re.IGNORECASE
        ),
    ),
    (
        "user name",
        "this looks like a user's name",
        re.compile(r"(?<![\w.@/])(?:@[A-Za-z]\w+|/?u/[A-Za-z][\w-]{2,})"),
    ),
    (
        "block character",
        "a look-alike is trained in its place",
        re.compile(f"[{BLOCK_OPEN}{BLOCK_CLOSE}]"),
    ),
)
_OUT_OF_CHARACTER: Final = re.compile(
    r"\(\([^()]+\)\)|\[\[[^\[\]]+\]\]|[\[(]\s*OOC\b|\bOOC\s*:|^ *//|(?<=\s)//(?=\s)",
    re.IGNORECASE | re.MULTILINE,
)
_USER_NAME: Final = re.compile(
    r".*[_@/{}<>].*|.*[^\W\d]\d{2,}|xx.+xx|user|you|human|assistant|ai|bot|anon|me", re.IGNORECASE
)
_STOCK: Final = re.compile(
    r"\b(?:shivers? (?:ran |running )?down \w+ spine|barely above a whisper|couldn't help but"
    r"|a mix(?:ture)? of \w+ and \w+|eyes (?:sparkl|twinkl|gleam)\w+ with"
    r"|mischievous (?:glint|grin|smile)|breath (?:\w+ )*(?:didn't|hadn't) (?:know|realized?)"
    r"|maybe, just maybe|little did \w+ know|the air (?:was|grew) thick with|sent shivers"
    r"|voice dripping with|a testament to|knuckles (?:turn\w*|went) white"
    r"|time seemed to (?:stop|stand still|slow))\b",
    re.IGNORECASE,
)
_PHRASE: Final = 6
"""Words of a phrase that should not come again and again."""
_TIMES: Final = 3
"""How often it comes until it is told."""
_TOLD: Final = 5
"""Phrases of one conversation that are told at most, the most frequent ones."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a person should look at."""

    file: str
    line: int
    severity: Severity
    """An error is data that cannot be used."""
    kind: Kind
    sentence: str


@dataclass(frozen=True, slots=True)
class Checked:
    """One conversation, looked through."""

    source: str
    """File and line."""
    digest: str
    findings: tuple[Finding, ...]
    messages: int
    words: int
    """Of all messages."""
    narrated: int
    """Those of them that are narration."""
    faulty: int
    """Messages with a finding."""
    repeated: float
    """The share of six-word phrases that stand there for at least the third time."""

    @property
    def score(self) -> int | None:
        """How near the target prose it is, from 0 to 100; None without messages.

        30 points for 80 words a message or more, in proportion; 15 for 40 % of narration or more;
        40 for messages without a finding; 15 for no phrase that comes back, 3 % lose one third.
        """
        if not self.messages:
            return None
        length = min(self.words / self.messages / 80, 1)
        narration = min(self.narrated / max(self.words, 1) / 0.4, 1)
        clean = 1 - self.faulty / self.messages
        fresh = max(1 - 11 * self.repeated, 0)
        return round(30 * length + 15 * narration + 40 * clean + 15 * fresh)


def check_conversation(told: Conversation) -> Checked:
    """Looks through all parts of a conversation."""
    names = frozenset(message.name for message in told.messages)
    findings = list(_names(told))
    prose: list[Prose] = []
    faulty = 0
    for index, part in enumerate(told.parts):
        found = list(_part(told, index))
        if isinstance(part, Block) and part.role == "message":
            prose.append(measure(part.body, names))
            found += _message(told, index, part.body, prose[-1])
            faulty += bool(found)
        findings += found
    phrases, repeated = _repetition(told)
    return Checked(
        source=told.source,
        digest=told.digest(),
        findings=tuple(sorted([*findings, *phrases], key=lambda finding: finding.line)),
        messages=len(prose),
        words=sum(each.words for each in prose),
        narrated=sum(each.narrated for each in prose),
        faulty=faulty,
        repeated=repeated,
    )


def _part(told: Conversation, index: int) -> Iterator[Finding]:
    """What may be wrong in any part."""
    part = told.parts[index]
    text = part.body if isinstance(part, Block) else part.text
    if not text.strip():
        role = part.role if isinstance(part, Block) else "[INST] note"
        yield _finding(told, index, 0, "empty block", f"this {role} is empty")
    for kind, sentence, pattern in _PATTERNS:
        yield from _matches(told, index, kind, sentence, list(pattern.finditer(text)))


def _matches(
    told: Conversation, index: int, kind: Kind, sentence: str, found: Sequence[re.Match[str]]
) -> Iterator[Finding]:
    """One finding for all matches of a kind: the first one's line and text, and how many."""
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        shown = found[0][0].strip()[:40]
        yield _finding(told, index, found[0].start(), kind, f"{shown}{more}: {sentence}")


def _message(told: Conversation, index: int, text: str, prose: Prose) -> Iterator[Finding]:
    """What may be wrong in a message alone."""
    found = list(_OUT_OF_CHARACTER.finditer(text))
    yield from _matches(told, index, "out of character", "it belongs into an ooc block", found)
    if prose.open_marks:
        place, mark = prose.open_marks[0]
        more = f" and {len(prose.open_marks) - 1} more" if len(prose.open_marks) > 1 else ""
        yield _finding(told, index, place, "open mark", f"{mark}{more}: it has no counterpart")
    told_as: list[tuple[Kind, Sequence[int], bool]] = [
        ("first person", prose.first_person, prose.is_first_person),
        ("present tense", prose.present, prose.is_present),
    ]
    for kind, places, holds in told_as:
        if holds:
            sentence = f"{_around(text, places[0])}: the narration is in the {kind}"
            yield _finding(told, index, places[0], kind, sentence)
    stock = list(_STOCK.finditer(text))
    yield from _matches(told, index, "repeated phrase", "a stock phrase", stock)


def _names(told: Conversation) -> Iterator[Finding]:
    """Speakers that are called like users, each where it speaks first."""
    seen: set[str] = set()
    for index, part in enumerate(told.parts):
        if isinstance(part, Block) and part.role == "message" and part.name not in seen:
            seen.add(part.name)
            if _USER_NAME.fullmatch(part.name):
                sentence = f"{part.name}: this speaker looks like a user, not a character"
                yield _finding(told, index, 0, "user name", sentence)


def _repetition(told: Conversation) -> tuple[list[Finding], float]:
    """The phrases that come again and again, and their share of all."""
    places: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    for index, part in enumerate(told.parts):
        if isinstance(part, Block) and part.role == "message":
            words = words_of(part.body)
            for at in range(len(words) - _PHRASE + 1):
                places[tuple(words[at : at + _PHRASE])].append((index, at))
    often = {phrase: where for phrase, where in places.items() if len(where) >= _TIMES}
    total = sum(map(len, places.values()))
    again = sum(len(where) - _TIMES + 1 for where in often.values())
    findings = [
        _finding(
            told,
            where[0][0],
            0,
            "repeated phrase",
            f"{' '.join(phrase)}: it is written {len(where)} times",
        )
        for phrase, where in _beginnings(often)[:_TOLD]
    ]
    return findings, again / total if total else 0.0


def _beginnings(
    often: dict[tuple[str, ...], list[tuple[int, int]]],
) -> list[tuple[tuple[str, ...], list[tuple[int, int]]]]:
    """The phrases that do not just go on with another one, most frequent first."""
    covered = {(index, at + 1) for where in often.values() for index, at in where}
    first = [(phrase, where) for phrase, where in often.items() if not covered.issuperset(where)]
    return sorted(first, key=lambda pair: (-len(pair[1]), pair[1]))


def _around(text: str, place: int) -> str:
    """A few words of the text at a place."""
    begin = text.rfind("\n", 0, place) + 1
    return " ".join(text[max(begin, place - 20) : place + 20].partition("\n")[0].split())


def _finding(told: Conversation, index: int, offset: int, kind: Kind, sentence: str) -> Finding:
    part = told.parts[index]
    line = told.lines[index]
    if not told.file.endswith(".jsonl"):  # there, a conversation is one line
        text = part.body if isinstance(part, Block) else part.text
        line += isinstance(part, Block) + text.count("\n", 0, offset)
    return Finding(told.file, line, "warning", kind, sentence)
