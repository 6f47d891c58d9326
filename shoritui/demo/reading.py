"""Whether a reply has read its prompt: which names, things, places and pronouns it uses.

It finds the beats that a reply is made of and looks into their slots. It knows nothing of models.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

from shoritui.demo.beats import SLOT, corpus_beats
from shoritui.demo.settings import settings

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_NAMES = frozenset(("me", "other", "third", "OTHER"))
_PROPS = frozenset(("prop", "prop2", "a_prop", "PROP"))
_PLACES = frozenset(("place", "place2"))


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A beat as a pattern, and the names of its slots in order."""

    regex: re.Pattern[str]
    anchor: str
    slots: tuple[str, ...]


@cache
def _patterns() -> tuple[_Pattern, ...]:
    patterns = []
    for beat in corpus_beats()[0]:
        pieces = SLOT.split(beat.text)
        literals, slots = pieces[::2], tuple(pieces[1::2])
        anchor = max(literals, key=len)
        if not slots or len(anchor) < 8:
            continue
        body = r"([\w' -]{1,40}?)".join(map(re.escape, literals))
        patterns.append(_Pattern(re.compile(rf"(?<!\w){body}(?!\w)"), anchor, slots))
    return tuple(patterns)


@cache
def _corpus_words() -> frozenset[str]:
    """Every word that the corpus itself uses: a capital one of them need not be a name."""
    text = " ".join(beat.text for beat in corpus_beats()[0])
    frames = (t for s in settings(unseen=False) for t in (*s.titles, *s.lore, *s.scenarios))
    return frozenset(_WORD.findall(f"{SLOT.sub(' ', text)} {' '.join(frames)}".casefold()))


def slot_hits(prompt: str, reply: str) -> Counter[str]:
    """How often slots of the reply's beats hold what stands in the prompt.

    Keys are "names", "props" and "places", each with "/right" and "/all".
    """
    hits: Counter[str] = Counter()
    low = prompt.casefold()
    for pattern in _patterns():
        if pattern.anchor not in reply:
            continue
        for match in pattern.regex.finditer(reply):
            for slot, value in zip(pattern.slots, match.groups(), strict=True):
                kind = _kind(slot)
                if kind:
                    bare = re.sub(r"^an? ", "", value.casefold())
                    hits[f"{kind}/all"] += 1
                    hits[f"{kind}/right"] += _stands_in(bare, low)
    return hits


def name_hits(prompt: str, reply: str) -> tuple[int, int]:
    """Of the reply's name-like words: how many stand in the prompt, and how many there are."""
    known = {word.casefold() for word in _WORD.findall(prompt)}
    right = total = 0
    for word in _WORD.findall(reply):
        low = word.casefold()
        if word[0].isupper() and len(word) > 1 and low not in _corpus_words():
            total += 1
            right += low in known
    return right, total


def _kind(slot: str) -> str:
    if slot in _NAMES:
        return "names"
    if slot in _PROPS:
        return "props"
    return "places" if slot in _PLACES else ""


def _stands_in(phrase: str, prompt: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", prompt) is not None
