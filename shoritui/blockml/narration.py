"""A message's prose, measured: what is narration, which marks stay open, person and tense.

Places are offsets in the message's text. The measures are rates of plain words, made for a person's
eye: they are often right, and never proof.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from shoritui.blockml.prose import ProseKind, Span, lex

_OTHER_QUOTES: Final = frozenset("“”„«»")
_MARKS: Final[dict[ProseKind, str]] = {
    "dialogue": '"',
    "quote": "''",
    "emphasis": "**",
    "sound": "*",
    "thought": "_",
}
_NARRATED: Final = frozenset[ProseKind]({"emphasis", "loud"})
_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_LINE_OF_MARKS: Final = re.compile(r"^[ *_~=-]+$", re.MULTILINE)
_STRAY: Final = re.compile(r"\*|(?<![^\W_])_|_(?![^\W_])")

_FIRST_PERSON: Final = re.compile(r"\b(?:I|I'm|I've|I'd|I'll|[Mm]e|[Mm]y|[Mm]ine|[Mm]yself)\b")
_AUXILIARY: Final = re.compile(r"\b(?:is|are|isn't|aren't|has|hasn't|does|doesn't)\b")
_VERBS: Final = (
    "asks|begins|blinks|breathes|brings|calls|catches|climbs|closes|comes|continues|cries|"
    "decides|drops|enters|falls|feels|finds|follows|frowns|gives|glances|goes|grabs|grins|"
    "grips|hears|holds|hugs|jumps|keeps|kneels|knows|laughs|leads|leans|leaves|lets|lies|"
    "lifts|listens|looks|lowers|makes|moves|mutters|needs|nods|notices|offers|opens|pats|"
    "pauses|picks|places|pours|presses|pulls|pushes|puts|raises|reaches|realizes|remembers|"
    "replies|rests|rolls|runs|says|sees|seems|sets|shakes|shouts|shrugs|sighs|sits|slips|"
    "smiles|sniffs|speaks|stands|stares|starts|stays|steps|stops|takes|talks|tells|thinks|"
    "throws|tilts|touches|tries|turns|waits|wakes|walks|wants|watches|whispers|winks|wipes|"
    "wonders"
)
_SUBJECTS: Final = ("he", "she", "it", "who")
_PAST: Final = re.compile(
    r"\b(?:was|were|had|did|wasn't|weren't|hadn't|didn't|said|told|went|came|took|gave|made|found|"
    r"saw|knew|thought|felt|kept|held|stood|sat|ran|put|let|left|heard|got|began|fell|shook|[a-z]+ed)\b",
    re.IGNORECASE,
)

STOCK_PHRASES: Final = re.compile(
    r"\b(?:shivers? (?:ran |running )?down \w+ spine|barely above a whisper|couldn't help but"
    r"|a mix(?:ture)? of \w+ and \w+|eyes (?:sparkl|twinkl|gleam)\w+ with"
    r"|mischievous (?:glint|grin|smile)"
    r"|breath (?:(?!breath )\w++ )*(?:didn't|hadn't) (?:know|realized?)"
    r"|maybe, just maybe|little did \w+ know|the air (?:was|grew) thick with|sent shivers"
    r"|voice dripping with|a testament to|knuckles (?:turn\w*|went) white"
    r"|time seemed to (?:stop|stand still|slow))\b",
    re.IGNORECASE,
)
"""What language models write too often, whatever the story."""


@dataclass(frozen=True, slots=True)
class Prose:
    """What a message's text is made of."""

    words: int
    narrated: int
    """Words outside of dialogue, thoughts, sounds, quotes and output."""
    open_marks: tuple[tuple[int, str], ...]
    """Marks that are never closed, or close nothing: offset and mark."""
    first_person: tuple[int, ...]
    """Offsets of first-person words in the narration."""
    present: tuple[int, ...]
    """Offsets of verbs in the present tense in the narration."""
    past: int
    """How many verbs in it are in the past tense."""

    @property
    def is_first_person(self) -> bool:
        """At least one in a hundred narrated words is of the first person."""
        return len(self.first_person) * 100 > self.narrated

    @property
    def is_present(self) -> bool:
        """At least every third verb of the narration is in the present tense."""
        return len(self.present) * 2 > self.past


def measure(text: str, names: frozenset[str] = frozenset()) -> Prose:
    """Measure a message's text; `names` are the characters who may do things in it."""
    spans = lex(text)
    narration = _narration(text, spans)
    verbs = {match.end() for match in _present(names).finditer(narration)}
    verbs |= {match.end() for match in _AUXILIARY.finditer(narration)}
    return Prose(
        words=len(_WORD.findall(text)),
        narrated=len(_WORD.findall(narration)),
        open_marks=_sorted_open_marks(text, spans),
        first_person=tuple(match.start() for match in _FIRST_PERSON.finditer(narration)),
        present=tuple(sorted(verbs)),
        past=len(_PAST.findall(narration)),
    )


def open_marks(text: str) -> tuple[tuple[int, str], ...]:
    """Return the marks of a text that are never closed, or close nothing: offset and mark."""
    return _sorted_open_marks(text, lex(text))


@lru_cache(maxsize=64)
def _present(names: frozenset[str]) -> re.Pattern[str]:
    """Verbs in the present tense behind someone who does them."""
    subjects = "|".join(map(re.escape, (*_SUBJECTS, *sorted(names))))
    return re.compile(rf"\b(?:{subjects})\s+(?:\w+ly\s+)?(?:{_VERBS})\b", re.IGNORECASE)


def words_of(text: str) -> list[str]:
    """Return the words of a text, as they are compared."""
    return _WORD.findall(text.casefold())


def narration_of(text: str) -> str:
    """Return the narration of a text, with blanks in place of all else; offsets stay."""
    return _narration(text, lex(text))


def _narration(text: str, spans: Sequence[Span]) -> str:
    """The text with blanks in place of all that is no narration; offsets stay."""
    return "".join(
        piece if _NARRATED.issuperset(span.kinds) else re.sub(r"\S", " ", piece)
        for span in spans
        for piece in [text[span.start : span.end]]
    )


def _sorted_open_marks(text: str, spans: Sequence[Span]) -> tuple[tuple[int, str], ...]:
    return tuple(sorted(_open_marks(text, spans)))


def _open_marks(text: str, spans: Sequence[Span]) -> Iterator[tuple[int, str]]:
    breaks = [match.span() for match in _LINE_OF_MARKS.finditer(text)]
    for kind, mark in _MARKS.items():
        for start, end in _runs(spans, kind):
            run = text[start:end]
            if kind == "dialogue" and run[0] != mark and run[-1] in _OTHER_QUOTES:
                continue  # closed, by marks that are a finding of their own
            is_closed = run.endswith(mark) and len(run) >= 2 * len(mark)
            if (not is_closed or run.count('"') % 2) and not _is_within(start, breaks):
                yield start, mark
    for span in spans:
        if not {"sound", "emphasis", "fence"} & set(span.kinds):
            for match in _STRAY.finditer(text, span.start, span.end):
                is_own = match[0] == "_" and "thought" in span.kinds
                if not is_own and not _is_within(match.start(), breaks):
                    yield match.start(), match[0]


def _runs(spans: Sequence[Span], kind: ProseKind) -> Iterator[tuple[int, int]]:
    """Each stretch of text that is of a kind, whatever else it is."""
    start = None
    for span in spans:
        if kind in span.kinds and start is None:
            start = span.start
        elif kind not in span.kinds and start is not None:
            yield start, span.start
            start = None
    if start is not None:
        yield start, spans[-1].end


def _is_within(place: int, stretches: Sequence[tuple[int, int]]) -> bool:
    """Return whether a place is in one of some stretches, which are in order."""
    at = bisect_right(stretches, place, key=lambda stretch: stretch[0])
    return at > 0 and place < stretches[at - 1][1]
