"""The names, props and places that scenes are made of, split into trained and unseen ones.

It knows nothing of sentences or of tokens; the lists themselves are in `corpus/words.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from random import Random
from zlib import crc32

CORPUS = Path(__file__).with_name("corpus")
TEMPERS = ("warm", "lively", "dry", "shy", "grand", "keen")


def is_unseen(word: str) -> bool:
    """Whether training never uses this word as a name, a prop or a place: one word in five."""
    return crc32(word.casefold().encode()) % 5 == 0


@dataclass(frozen=True, slots=True)
class Words:
    """One side of the split: what scenes may be made of."""

    unseen: bool
    she_names: tuple[str, ...]
    he_names: tuple[str, ...]
    surnames: tuple[str, ...]
    prop_firsts: tuple[str, ...]
    prop_seconds: tuple[str, ...]
    place_firsts: tuple[str, ...]
    place_seconds: tuple[str, ...]

    def name(self, rng: Random, she: bool) -> str:
        """A first name; three of five are put together from syllables, an endless supply."""
        if rng.random() < 0.4:
            return rng.choice(self.she_names if she else self.he_names)
        return self._keep(lambda: _syllables(rng, she))

    def surname(self, rng: Random) -> str:
        """A family name."""
        return rng.choice(self.surnames)

    def prop(self, rng: Random) -> str:
        """A thing without its article, such as "copper kettle"."""
        return self._thing(rng, self.prop_firsts, self.prop_seconds)

    def place(self, rng: Random) -> str:
        """A place that fits after "the", such as "north stair"."""
        return self._thing(rng, self.place_firsts, self.place_seconds)

    def adorn(self, rng: Random, noun: str) -> str:
        """The noun with an adjective before it."""
        return f"{self._first(rng, self.prop_firsts)} {noun}"

    def _thing(self, rng: Random, firsts: tuple[str, ...], seconds: tuple[str, ...]) -> str:
        kind = rng.random()
        second = self._made_up(rng) if kind > 0.92 else rng.choice(seconds)
        return second if kind > 0.98 else f"{self._first(rng, firsts)} {second}"

    def _first(self, rng: Random, firsts: tuple[str, ...]) -> str:
        """An adjective, or a word put together from syllables.

        Training sees many of those: what can't be known by heart must be read in the prompt.
        """
        made_up = rng.random() < (0.12 if self.unseen else 0.5)
        return self._made_up(rng) if made_up else rng.choice(firsts)

    def _made_up(self, rng: Random) -> str:
        return self._keep(lambda: _syllables(rng, rng.random() < 0.2).lower())

    def _keep(self, make: Callable[[], str]) -> str:
        while is_unseen(word := make()) != self.unseen:
            pass
        return word


@cache
def lists() -> dict[str, dict[str, tuple[str, ...]]]:
    """Every list of `words.toml`, by table and key; a `|` in a list separates phrases."""
    tables = tomllib.loads((CORPUS / "words.toml").read_text(encoding="utf-8"))
    return {
        table: {key: _split(text) for key, text in entries.items()}
        for table, entries in tables.items()
        if isinstance(entries, dict)
    }


def words(unseen: bool, adjectives: tuple[str, ...] = ()) -> Words:
    """The words of one side of the split; `adjectives` of things join those of the lists."""

    def side(table: str, key: str) -> tuple[str, ...]:
        return tuple(w for w in lists()[table][key] if is_unseen(w) == unseen)

    return Words(
        unseen,
        side("names", "she"),
        side("names", "he"),
        side("names", "surnames"),
        _sorted(side("props", "first"), (a for a in adjectives if is_unseen(a) == unseen)),
        side("props", "second"),
        side("places", "first"),
        side("places", "second"),
    )


def _sorted(*groups: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(chain(*groups))))


def article(phrase: str) -> str:
    """The phrase with "a" or "an" before it."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _split(text: str) -> tuple[str, ...]:
    parts = text.split("|") if "|" in text else text.split()
    return tuple(" ".join(part.split()) for part in parts)


def _syllables(rng: Random, she: bool) -> str:
    table = lists()["syllables"]
    word = rng.choice(table["onset"]) if rng.random() < 0.85 else ""
    word += rng.choice(table["vowel"])
    if rng.random() < 0.45:
        word += rng.choice(table["middle"]) + rng.choice(table["vowel"])
    if rng.random() < 0.7:
        word += rng.choice(table["middle"]) + rng.choice(table["she_end" if she else "he_end"])
    else:
        word += rng.choice(table["coda"])
    return word.capitalize()
