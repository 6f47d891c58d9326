"""What became of a file in an import, and how an import is told at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final, Literal

from shoritui.interop.folders.walk import Found
from shoritui.story import Chat
from shoritui.text import counted, one_line, printable

HEAD: Final = ("FROM", "BECAME")
"""Of the table's part with what came in."""
_NAMED: Final = 3
"""Files that are named of those left for one reason."""
_PLURALS: Final = {"story": "stories", "branch": "branches"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    found: Found
    status: Literal["new", "known", "left"]
    """Whether it was taken in, was in before, or was not taken in."""
    kind: str = ""
    """`card`, `lorebook`, `story`, or what a reader from elsewhere calls it."""
    name: str = ""
    """What it is called here."""
    notes: tuple[str, ...] = ()
    """What was left out of it, a sentence each; or why it was left."""
    sentences: str = ""
    """The same about a single file, for people."""
    chats: tuple[Chat, ...] = ()
    """The chats that it became."""


def rows_of(outcomes: Sequence[Outcome], skipped: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return a table's rows: each file that came in, then what was left, by why.

    What is to be said of many files that came in is said once.
    """
    new = [each for each in outcomes if _is_new(each)]
    counts = Counter(note for each in new for note in each.notes)
    often = {note for note, count in counts.items() if count > _NAMED}
    rows = [(printable(each.found.shown, 60), _became(each, often)) for each in new]
    if rows:
        rows.insert(0, HEAD)
    left: dict[str, list[str]] = {}
    for each in new:
        for note in each.notes:
            if note in often:
                left.setdefault(note, []).append(each.found.shown)
    for each in outcomes:
        if each.status == "left":
            left.setdefault(" ".join(each.notes), []).append(each.found.shown)
    if left or skipped:
        rows.append(("LEFT", "WHY"))
    rows += [(_names(names), why) for why, names in left.items()]
    rows += [(f"{count:,}", f"passed over: {why}") for why, count in skipped.items()]
    return rows


def summary(outcomes: Sequence[Outcome], *, is_stopped: bool = False) -> str:
    """Return how much came in, how much was there before, and how much was left."""
    kinds = Counter(each.kind for each in outcomes if _is_new(each))
    if is_stopped and not kinds:
        return "Stopped; nothing was imported."
    said = ["Imported: " + (", ".join(map(_counted, kinds.items())) or "nothing new")]
    known = sum(each.status == "known" for each in outcomes)
    left = sum(each.status == "left" for each in outcomes)
    if known:
        said.append(f"{counted(known, 'file')} already here")
    if left:
        said.append(f"{counted(left, 'file')} left")
    sentence = "; ".join(said) + "."
    return f"Stopped; what is in stays in. {sentence}" if is_stopped else sentence


def _is_new(outcome: Outcome) -> bool:
    return outcome.status == "new"


def _counted(kind: tuple[str, int]) -> str:
    word, count = kind
    return f"{count:,} {_PLURALS.get(word, word + 's') if count != 1 else word}"


def _became(outcome: Outcome, often: Set[str]) -> str:
    notes = [note for note in outcome.notes if note not in often]
    return " · ".join([f"{outcome.kind} {one_line(outcome.name)}".rstrip(), *notes])


def _names(names: Sequence[str]) -> str:
    return ", ".join(_shortened(names))


def _shortened(names: Sequence[str]) -> Iterator[str]:
    few = names if len(names) <= _NAMED else names[:1]
    yield from (printable(name, 60) for name in few)
    if len(few) < len(names):
        yield f"and {len(names) - len(few):,} more"
