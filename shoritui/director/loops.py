"""Replies that repeat themselves: where a loop begins, where to cut it, and how much is repeated.

He sat. The door and the door and the door and ...
├─────┤ kept: the last good sentence before the loop's second time
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_TAIL: Final = 32
"""Characters at the end that stand once more before it, if the end is a loop."""
_MOST_TIMES: Final = 5
_MOST_LENGTH: Final = 500
_LEAST_LENGTH: Final = 120
_LEAST_LETTERS: Final = 40
_SENTENCE_END: Final = re.compile(
    r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)"
    r"(?:[.!?…]+[\"'”’»*_)\]]*(?=\s)|[。！？]+[\"'”’»*_)\]」』）]*)"
)
_LAST_WORD: Final = re.compile(r"\S+\Z")
_WORDS: Final = re.compile(r"\w+")
_PHRASE: Final = 4
_RECENT_WORDS: Final = 200


def loop_start(text: str) -> int | None:
    """Return where the text's end becomes the same piece again and again, after its first time.

    Whatever the piece's length, it stands there once more, and either five times more or for 500
    characters more; all of it fills at least 120 characters, or 40 where one letter or two are
    repeated. No refrain, no row of dots or dashes that a person writes is that long. None if the
    text does not end in one.
    """
    tail, end = text[-_TAIL:], len(text) - 1
    while (at := text.rfind(tail, 0, end)) >= 0 and len(tail) == _TAIL:
        period = len(text) - _TAIL - at
        has_letters = period <= 2 and any(map(str.isalnum, text[-period:]))
        least = _LEAST_LETTERS if has_letters else _LEAST_LENGTH
        again = max(period, min(_MOST_TIMES * period, _MOST_LENGTH), least - period)
        if len(text) >= period + again and text[-again:] == text[-again - period : -period]:
            return _end_of_first(text, period)
        end = at + _TAIL - 1
    return None


def whole_end(text: str, end: int, least: int = 0) -> int:
    """Return where the last good sentence before `end` ends; without one, the last whole word.

    A sentence is good if no speech is left open after it. What stands before `least` stays.
    """
    ends = [match.end() for match in _SENTENCE_END.finditer(text, least) if match.end() <= end]
    good = next((each for each in reversed(ends) if _is_closed(text, each)), None)
    if good is not None:
        return good
    if ends:
        return ends[-1]
    kept = text[:end] if text[end : end + 1].isspace() else _LAST_WORD.sub("", text[:end])
    return max(least, len(kept.rstrip() or text[:end]))


def kept_end(text: str) -> int:
    """Return up to where a reply stays as it is, whatever comes after it: a loop is cut no earlier.

    A loop that shows later may have begun where the longest text at the end that stands once more
    before did.
    """
    begun = len(text)
    while begun and text.find(text[begun - 1 :], 0, len(text) - 1) >= 0:
        begun -= 1
    ends = [match.end() for match in _SENTENCE_END.finditer(text) if match.end() <= begun]
    return next((each for each in reversed(ends) if _is_closed(text, each)), 0)


def repetition(text: str, before: Iterable[str] = ()) -> float:
    """Return how much of a text's newest 200 words stood in it, or in those before, already.

    A word counts if it ends four words that came in this order once more, earlier.
    """
    seen: set[tuple[str, ...]] = set()
    for each in before:
        seen.update(_phrases(each))
    found = []
    for phrase in _phrases(text):
        found.append(phrase in seen)
        seen.add(phrase)
    recent = found[-_RECENT_WORDS:]
    return sum(recent) / len(recent) if recent else 0.0


def _phrases(text: str) -> Iterable[tuple[str, ...]]:
    words = _WORDS.findall(text.casefold())
    return zip(*(words[at:] for at in range(_PHRASE)), strict=False)


def _end_of_first(text: str, period: int) -> int:
    start = len(text) - period
    while start > 0 and text[start - 1] == text[start - 1 + period]:
        start -= 1
    return start + period


def _is_closed(text: str, end: int) -> bool:
    """Whether no speech is open there, as far as its line tells."""
    line = text[text.rfind("\n", 0, end) + 1 : end]
    return line.count('"') % 2 == 0 and line.count("“") == line.count("”")
