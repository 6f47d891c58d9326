"""What is wrong in one conversation, each finding with its file and line, and its score."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from shoritui.blockml import BLOCK_CLOSE, BLOCK_OPEN, Block
from shoritui.blockml.narration import STOCK_PHRASES, Prose, measure, words_of
from shoritui.finetune.data.conversations import Conversation

Severity = Literal["error", "warning"]
Kind = Literal[
    "unusable",
    "too long",
    "speaker",
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
    ("curly quote", "should be a straight quote", re.compile("[“”„‟‘’‚‛«»]")),
    ("address", "is a web address", re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)),
    (
        "user name",
        "is a placeholder, not a name",
        re.compile(
            r"\{\{\s*(?:user|char|persona|original)\s*\}\}|<(?:user|bot|start|char)>", re.IGNORECASE
        ),
    ),
    (
        "user name",
        "looks like a user's name",
        re.compile(r"(?<![\w.@/])(?:@[A-Za-z]\w+|/?u/[A-Za-z][\w-]{2,})"),
    ),
    (
        "block character",
        "is a block mark: a look-alike is trained in its place",
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
_PHRASE: Final = 6
"""Words of a phrase that should not come again and again."""
_TIMES: Final = 3
"""How often it comes until it is reported."""
_MOST_PHRASES: Final = 5
"""Phrases of one conversation that are reported at most, the most frequent ones."""


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


def check_conversation(conversation: Conversation) -> Checked:
    """Look through all parts of a conversation."""
    names = frozenset(message.name for message in conversation.messages)
    findings = list(_names(conversation))
    prose: list[Prose] = []
    faulty = 0
    for index, part in enumerate(conversation.parts):
        found = list(_part(conversation, index)) if index not in conversation.added else []
        if isinstance(part, Block) and part.role == "message":
            prose.append(measure(part.body, names))
            found += _message(conversation, index, part.body, prose[-1])
            faulty += bool(found)
        findings += found
    phrases, repeated = _repetition(conversation)
    return Checked(
        source=conversation.source,
        digest=conversation.digest(),
        findings=tuple(sorted([*findings, *phrases], key=lambda finding: finding.line)),
        messages=len(prose),
        words=sum(each.words for each in prose),
        narrated=sum(each.narrated for each in prose),
        faulty=faulty,
        repeated=repeated,
    )


def _part(conversation: Conversation, index: int) -> Iterator[Finding]:
    """What may be wrong in any part."""
    part = conversation.parts[index]
    text = part.body if isinstance(part, Block) else part.text
    if not text.strip():
        role = part.role if isinstance(part, Block) else "[INST] note"
        yield _finding(conversation, index, 0, "empty block", f"this {role} is empty")
    for kind, sentence, pattern in _PATTERNS:
        yield from _matches(conversation, index, kind, sentence, _places(pattern, text))


def _places(pattern: re.Pattern[str], text: str) -> list[tuple[int, str]]:
    """What of a text matches, with its offsets."""
    return [(match.start(), match[0]) for match in pattern.finditer(text)]


def _matches(
    conversation: Conversation,
    index: int,
    kind: Kind,
    sentence: str,
    found: Sequence[tuple[int, str]],
) -> Iterator[Finding]:
    """One finding for all places of a kind: the first one's line and text, and how many."""
    if found:
        place, shown = found[0]
        more = f" ({len(found) - 1} more here)" if len(found) > 1 else ""
        said = f"{_quoted(shown.strip()[:40])} {sentence}{more}"
        yield _finding(conversation, index, place, kind, said)


def _message(conversation: Conversation, index: int, text: str, prose: Prose) -> Iterator[Finding]:
    """What may be wrong in a message alone."""
    outside = _places(_OUT_OF_CHARACTER, text)
    belongs = "belongs in an ooc block"
    yield from _matches(conversation, index, "out of character", belongs, outside)
    unpaired = "is never closed"
    yield from _matches(conversation, index, "open mark", unpaired, prose.open_marks)
    voices: list[tuple[Kind, Sequence[int], bool]] = [
        ("first person", prose.first_person, prose.is_first_person),
        ("present tense", prose.present, prose.is_present),
    ]
    for kind, places, holds in voices:
        if holds:
            sentence = f"{_quoted(_around(text, places[0]))} is narration in the {kind}"
            yield _finding(conversation, index, places[0], kind, sentence)
    stock = _places(STOCK_PHRASES, text)
    yield from _matches(conversation, index, "repeated phrase", "is a stock phrase", stock)


def _names(conversation: Conversation) -> Iterator[Finding]:
    """Speakers that are called like users, each where it speaks first."""
    seen: set[str] = set()
    for index, part in enumerate(conversation.parts):
        if isinstance(part, Block) and part.role == "message" and part.name not in seen:
            seen.add(part.name)
            if _USER_NAME.fullmatch(part.name):
                sentence = f"{_quoted(part.name)} looks like a user, not a character"
                yield _finding(conversation, index, 0, "user name", sentence)


def _repetition(conversation: Conversation) -> tuple[list[Finding], float]:
    """The phrases that come again and again, and their share of all."""
    places: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    for index, part in enumerate(conversation.parts):
        if isinstance(part, Block) and part.role == "message":
            words = words_of(part.body)
            for at in range(len(words) - _PHRASE + 1):
                places[tuple(words[at : at + _PHRASE])].append((index, at))
    often = {phrase: where for phrase, where in places.items() if len(where) >= _TIMES}
    total = sum(map(len, places.values()))
    again = sum(len(where) - _TIMES + 1 for where in often.values())
    findings = [
        _finding(
            conversation,
            where[0][0],
            0,
            "repeated phrase",
            f"{_quoted(' '.join(phrase))} is written {len(where)} times",
        )
        for phrase, where in _beginnings(often)[:_MOST_PHRASES]
    ]
    return findings, again / total if total else 0.0


def _beginnings(
    often: dict[tuple[str, ...], list[tuple[int, int]]],
) -> list[tuple[tuple[str, ...], list[tuple[int, int]]]]:
    """The phrases that do not just go on with another one, most frequent first."""
    covered = {(index, at + 1) for where in often.values() for index, at in where}
    first = [(phrase, where) for phrase, where in often.items() if not covered.issuperset(where)]
    return sorted(first, key=lambda pair: (-len(pair[1]), pair[1]))


def _quoted(snippet: str) -> str:
    return f"'{snippet}'" if '"' in snippet else f'"{snippet}"'


def _around(text: str, place: int) -> str:
    """A few words of the text at a place."""
    begin = text.rfind("\n", 0, place) + 1
    return " ".join(text[max(begin, place - 20) : place + 20].partition("\n")[0].split())


def _finding(
    conversation: Conversation, index: int, offset: int, kind: Kind, sentence: str
) -> Finding:
    line = conversation.line(index, offset)
    return Finding(conversation.file, line, "warning", kind, sentence)
