"""What of the path is read, by whom, and where notes stand.

`read_by` is what leaves anything out of a prompt, and `place` what moves anything in it. A whisper
is read by its speaker and by those who heard it, and by nobody else who writes.

    title 2  message  note (sticky)  message  message  message  note (depth 1)
    ├── gone, the context is full ─────────┤

    header with title 2   note (sticky)   message  note (depth 1)  message

A summary stands for what is before it. A later one that begins where it begins takes its place:

    message  pinned  message  summary  message  message  summary 2  message
             └─ read ──────────────────────────────────────┴──────────┴──
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from shoritui.cards import Card
from shoritui.names import fold
from shoritui.story.model import Entry, Kind, NoteRule
from shoritui.story.whereabouts import COMINGS

SCENE_KINDS: Final[tuple[Kind, ...]] = ("title", "tags", "scenario")
"""What begins a scene; of each the latest one holds."""
Talk: TypeAlias = Literal["all", "recent", "none"]
"""Which words out of character are read: all, those since the last message, or none."""
STRANGER: Final = ""
"""A reader who heard no whisper, and so knows what everybody knows."""
_NO_RULE: Final = NoteRule()


def read_by(
    entries: Sequence[Entry], reader: str | None = None, *, talk: Talk = "all"
) -> list[Entry]:
    """Return the entries of a path that a reader may read.

    Args:
        entries: A path, or a part of one, oldest first.
        reader: Who will write what comes next; None is somebody who knows everything.
        talk: Which words out of character are among them.
    """
    entries = _unsummarised([entry for entry in entries if not entry.hidden])
    last = -1
    replied: dict[str, int] = {"": -1}
    for at, entry in enumerate(entries):
        if entry.kind == "message":
            last = at
            if entry.origin.by != "user":
                replied[fold(entry.speaker)] = replied[""] = at
    talk_from = {"all": 0, "recent": last, "none": len(entries)}[talk]

    def is_read(at: int, entry: Entry) -> bool:
        if not _knows(reader, entry):
            return False
        match entry.kind:
            case "ooc":
                return at >= talk_from
            case "note":
                rule = rule_of(entry)
                is_over = rule.once and at < replied.get(fold(rule.reader), -1)
                is_others = bool(rule.reader) and reader is not None
                return not is_over and not (is_others and fold(rule.reader) != fold(reader or ""))
        return True

    return [entry for at, entry in enumerate(entries) if is_read(at, entry)]


def reader_of(kind: Kind, speaker: str) -> str | None:
    """Return as whom one reads who writes an entry of this kind.

    Out of character speak those who play the story: they know everything.
    """
    return speaker if kind == "message" else None


def who_know(entries: Iterable[Entry], names: Iterable[str]) -> tuple[str, ...] | None:
    """Return who of these names may read every one of the entries; None if all of them may."""
    told, every = list(entries), tuple(names)
    knowing = tuple(name for name in every if all(_knows(name, entry) for entry in told))
    return None if knowing == every else knowing


def _knows(reader: str | None, entry: Entry) -> bool:
    heard = hearers(entry)
    return heard is None or reader is None or reader in heard


def _unsummarised(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries for which no summary stands, and the summaries that hold.

    A summary stands for what those know who know of it: what fewer heard has a summary apart.
    """
    ends: dict[frozenset[str] | None, int] = {}
    holding: dict[tuple[frozenset[str] | None, int], int] = {}
    for at, entry in enumerate(entries):
        if (span := entry.details.span) is not None:
            ends[hearers(entry)] = at
            holding[hearers(entry), span[0]] = at
    if not ends:
        return list(entries)
    held = set(holding.values())
    return [
        entry
        for at, entry in enumerate(entries)
        if entry.pinned
        or (
            at in held
            if is_summary(entry)
            else outlasts(entry) or at > ends.get(hearers(entry), -1)
        )
    ]


def is_summary(entry: Entry) -> bool:
    """Return whether an entry stands for others."""
    return entry.details.span is not None


def hearers(entry: Entry) -> frozenset[str] | None:
    """Return who knows of an entry; None is everybody."""
    heard = entry.details.heard
    return None if heard is None else frozenset((entry.speaker, *heard)) - {""}


def rule_of(note: Entry) -> NoteRule:
    """Return when and where a note is read."""
    return note.details.note or _NO_RULE


def outlasts(entry: Entry) -> bool:
    """Return whether an entry is still read once it has left the context with older messages."""
    if entry.kind == "note":
        rule = rule_of(entry)
        return entry.pinned or rule.sticky or rule.depth is not None or rule.every > 0
    is_lasting = entry.kind in SCENE_KINDS or entry.kind in COMINGS
    return entry.pinned or is_summary(entry) or is_lasting


def scene_after(scene: Card, gone: Sequence[Entry]) -> Card:
    """Return the scene with the title, tags and scenario that were given last in these entries."""
    for entry in gone:
        match entry.kind:
            case "title":
                scene = replace(scene, title=entry.text)
            case "tags":
                scene = replace(scene, tags=(entry.text,))
            case "scenario":
                scene = replace(scene, scenario=entry.text)
    return scene


def stands_first(gone: Sequence[Entry]) -> list[Entry]:
    """Return what of the entries that have left the context stands before the story."""
    told = [entry for entry in gone if entry.kind not in SCENE_KINDS and entry.kind not in COMINGS]
    return [entry for entry in told if rule_of(entry).depth is None]


@dataclass(frozen=True, slots=True)
class Places:
    """Where notes stand that are not read where they were written, or not there alone."""

    before: list[list[Entry]]
    """The notes before each of the entries."""
    after: list[list[Entry]]
    """The notes after each of them."""
    moved: frozenset[int]
    """Those of the entries that are read elsewhere, by their places."""


def place(entries: Sequence[Entry], gone: Sequence[Entry] = ()) -> Places:
    """Place notes among the entries that are read.

    A note that is read again counts messages from where it stands. At a depth it stands before
    that many messages, so it moves whenever there is a new one.

    Args:
        entries: What is read of the path, oldest first.
        gone: What `outlasts` the entries before.
    """
    places = Places([[] for _ in entries], [[] for _ in entries], frozenset(_moved(entries)))
    told = [at for at, entry in enumerate(entries) if entry.kind == "message"]
    for at, note in [*((-1, entry) for entry in gone), *enumerate(entries)]:
        if note.kind != "note" or not entries:
            continue
        rule = rule_of(note)
        if rule.depth == 0:
            places.after[-1].append(note)
        elif rule.depth is not None:
            places.before[told[-rule.depth] if rule.depth <= len(told) else 0].append(note)
        elif rule.every > 0:
            since = [each for each in told if each > at]
            for each in since[rule.every - 1 :: rule.every]:
                places.after[each].append(note)
    return places


def _moved(entries: Sequence[Entry]) -> Iterator[int]:
    for at, entry in enumerate(entries):
        if entry.kind == "note" and rule_of(entry).depth is not None:
            yield at
