"""The beats: hand-written sentences with slots, by phase of the story and temper of the speaker.

The writing itself is in `corpus/beats/*.txt`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache

from shoritui.demo.making.words import CORPUS, TEMPERS

PHASES = ("arrive", "find", "talk", "plan", "try", "trouble", "solve", "rest")
SLOT = re.compile(r"\{(\w+)\}")
SLOTS = frozenset(
    {"me", "other", "third", "OTHER", "goal"}
    | {"prop", "prop2", "a_prop", "PROP", "place", "place2"}
    | {"She", "she", "her_obj", "her", "herself"}
    | {"Other_she", "other_she", "other_her_obj", "other_her"}
)
_SECTION = re.compile(rf"\[({'|'.join(PHASES)})\.({'|'.join(TEMPERS)}|any)\]")


@dataclass(frozen=True, slots=True)
class Beat:
    """One beat and the section it stands in."""

    text: str
    phase: str
    temper: str


@cache
def corpus_beats() -> tuple[tuple[Beat, ...], tuple[str, ...]]:
    """Return every good beat of the corpus, and one sentence for every bad line."""
    beats: list[Beat] = []
    faults: list[str] = []
    for path in sorted((CORPUS / "beats").glob("*.txt")):
        good, bad = read_beats(path.name, path.read_text(encoding="utf-8"))
        beats += good
        faults += bad
    return tuple(beats), tuple(faults)


def read_beats(file: str, text: str) -> tuple[list[Beat], list[str]]:
    """Return the good beats of one file, and one sentence for every line that breaks the rules."""
    beats: list[Beat] = []
    faults: list[str] = []
    section: tuple[str, str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if match := _SECTION.fullmatch(line):
            section = (match[1], match[2])
        elif section is None:
            faults.append(f"{file}, line {number}: it stands before the first [phase.temper]")
        elif found := fault(line):
            faults.append(f"{file}, line {number}: {found}")
        else:
            beats.append(Beat(line, *section))
    return beats, faults


def fault(text: str) -> str:
    """Return what breaks the rules of a beat, in a few words; empty if nothing does."""
    if unknown := set(SLOT.findall(text)) - SLOTS:
        return f"unknown slot {sorted(unknown)[0]}"
    bare = SLOT.sub("x", text)
    if bad := re.search(r"[▀▄\[\]{}\t“”‘’—–…]", bare):
        return f"the character {bad[0]} is not allowed"
    if text.count('"') % 2:
        return "an open quote"
    if bare.count("_") % 2:
        return "an open thought"
    if bare.count("**") % 2 or bare.replace("**", "").count("*") % 2:
        return "an open asterisk"
    if bare.count("''") % 2:
        return "an open double apostrophe"
    return ""


@cache
def by_section() -> dict[tuple[str, str], list[Beat]]:
    """Return the beats by phase and temper."""
    sections: dict[tuple[str, str], list[Beat]] = defaultdict(list)
    for beat in corpus_beats()[0]:
        sections[beat.phase, beat.temper].append(beat)
    return sections
