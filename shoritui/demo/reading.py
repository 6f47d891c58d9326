"""Whether a reply has read its prompt: which names, things, places and pronouns it uses.

It finds the beats that a reply is made of and looks into their slots. It knows nothing of models.
"""

from __future__ import annotations

import re
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


@dataclass(frozen=True, slots=True)
class Count:
    """How many there were, and how many of them were right."""

    right: int = 0
    all: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.right + other.right, self.all + other.all)

    @property
    def share(self) -> float:
        """The right ones' share; 1 if there were none at all."""
        return self.right / self.all if self.all else 1.0


@dataclass(frozen=True, slots=True)
class Hits:
    """What of a reply stands in its prompt."""

    name_words: Count = Count()
    """Words that look like names, wherever they stand."""
    names: Count = Count()
    props: Count = Count()
    places: Count = Count()
    """The last three: what fills the slots of the beats that the reply is made of."""

    def __add__(self, other: Hits) -> Hits:
        return Hits(
            self.name_words + other.name_words,
            self.names + other.names,
            self.props + other.props,
            self.places + other.places,
        )


def read(prompt: str, reply: str) -> Hits:
    """How much of what the reply names stands in the prompt."""
    slots = {"names": Count(), "props": Count(), "places": Count()}
    low = prompt.casefold()
    for pattern in _patterns():
        if pattern.anchor not in reply:
            continue
        for match in pattern.regex.finditer(reply):
            for slot, value in zip(pattern.slots, match.groups(), strict=True):
                if kind := _kind(slot):
                    bare = re.sub(r"^an? ", "", value.casefold())
                    slots[kind] += Count(_stands_in(bare, low), 1)
    return Hits(_name_words(prompt, reply), **slots)


def _name_words(prompt: str, reply: str) -> Count:
    known = {word.casefold() for word in _WORD.findall(prompt)}
    words = [word.casefold() for word in _WORD.findall(reply) if word[0].isupper()]
    names = [word for word in words if len(word) > 1 and word not in _corpus_words()]
    return Count(sum(name in known for name in names), len(names))


def _kind(slot: str) -> str:
    if slot in _NAMES:
        return "names"
    if slot in _PROPS:
        return "props"
    return "places" if slot in _PLACES else ""


def _stands_in(phrase: str, prompt: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", prompt) is not None
