"""Replies that repeat themselves: where a loop begins, where to cut it, and how much is repeated.

He sat. The door and the door and the door and ...
├─────┤ kept: the last good sentence before the loop's second time
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

_TAIL: Final = 32
"""Characters at the end that stand once more before it, if the end is a loop."""
_MOST_TIMES: Final = 5
_MOST_LENGTH: Final = 500
_LEAST_LENGTH: Final = 120
_LEAST_LETTERS: Final = 40
_SENTENCE_END: Final = re.compile(
    r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)"
    r"(?:[.!?…]++(?:[\"'”’»*_)\]]*+(?=\s)(?P<narrow>))?|(?P<wide>[。！？]++[\"'”’»*_)\]」』）]*+))"
)
"""A row of stops; it ends a sentence where one of the groups is found."""
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
    ends = [each for each in _sentence_ends(text, least) if each[0] <= end]
    good = [at for at, is_closed in ends if is_closed]
    if good or ends:
        return good[-1] if good else ends[-1][0]
    kept = text[:end]
    if kept and not kept[-1].isspace() and not text[end : end + 1].isspace():
        kept = kept[: -len(kept.rsplit(maxsplit=1)[-1])]
    return max(least, len(kept.rstrip() or text[:end]))


def kept_end(text: str) -> int:
    """Return up to where a reply stays as it is, whatever comes after it: a loop is cut no earlier.

    A loop that shows later may have begun where the longest text at the end that stands once more
    before did.
    """
    begun = len(text) - _repeated(text)
    ends = _sentence_ends(text)
    return max((at for at, is_closed in ends if is_closed and at <= begun), default=0)


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


def _repeated(text: str) -> int:
    """Return how long the longest end of a text is that stands in it once more before."""
    stands, tried = 0, 1
    while tried < len(text) and _stands_before(text, tried):
        stands, tried = tried, 2 * tried
    beyond = min(tried, len(text))
    while beyond - stands > 1:
        half = (stands + beyond) // 2
        stands, beyond = (half, beyond) if _stands_before(text, half) else (stands, half)
    return stands


def _stands_before(text: str, length: int) -> bool:
    return text.find(text[-length:], 0, len(text) - 1) >= 0


def _sentence_ends(text: str, start: int = 0) -> Iterator[tuple[int, bool]]:
    """Yield where sentences end, and whether no speech is open there, as far as its line tells."""
    at = text.rfind("\n", 0, start) + 1
    straight = curly = 0
    for match in _SENTENCE_END.finditer(text, start):
        if match.lastgroup is None:
            continue
        end = match.end()
        if (line := text.rfind("\n", at, end) + 1) > 0:
            at, straight, curly = line, 0, 0
        straight += text.count('"', at, end)
        curly += text.count("“", at, end) - text.count("”", at, end)
        at = end
        yield end, straight % 2 == 0 and curly == 0
