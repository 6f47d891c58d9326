"""What scenes are made of, out of `corpus/*.toml`: names, props, places, settings and people.

Each word belongs to one side of a split: training sees four in five, tests the fifth.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

CORPUS = Path(__file__).with_name("corpus")
TEMPERS = ("warm", "lively", "dry", "shy", "grand", "keen")


def is_unseen(word: str) -> bool:
    """Return whether training never uses this word as name, prop or place: one word in five."""
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
        """Return a first name; three of five are put together from syllables, an endless supply."""
        if rng.random() < 0.4:
            return rng.choice(self.she_names if she else self.he_names)
        return self._keep(lambda: _syllables(rng, she))

    def prop(self, rng: Random) -> str:
        """Return a thing without its article, such as "copper kettle"."""
        return self._thing(rng, self.prop_firsts, self.prop_seconds)

    def place(self, rng: Random) -> str:
        """Return a place that fits after "the", such as "north stair"."""
        return self._thing(rng, self.place_firsts, self.place_seconds)

    def adorn(self, rng: Random, noun: str) -> str:
        """Return the noun with an adjective before it."""
        return f"{self._first(rng, self.prop_firsts)} {noun}"

    def _thing(self, rng: Random, firsts: tuple[str, ...], seconds: tuple[str, ...]) -> str:
        kind = rng.random()
        second = self._made_up(rng) if kind > 0.92 else rng.choice(seconds)
        return second if kind > 0.98 else f"{self._first(rng, firsts)} {second}"

    def _first(self, rng: Random, firsts: tuple[str, ...]) -> str:
        """Return an adjective, or a word put together from syllables.

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
def corpus(name: str) -> dict[str, Any]:
    """Return a file of the corpus, such as `frames` or `settings/people`."""
    return tomllib.loads((CORPUS / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def lists() -> dict[str, dict[str, tuple[str, ...]]]:
    """Return every list of `words.toml`, by table and key; a `|` in a list separates phrases."""
    return {
        table: {key: _split(text) for key, text in entries.items()}
        for table, entries in corpus("words").items()
        if isinstance(entries, dict)
    }


@cache
def words(unseen: bool, adjectives: tuple[str, ...] = ()) -> Words:
    """Return the words of one side of the split; `adjectives` of things join those of the lists."""
    names, props, places = (lists()[table] for table in ("names", "props", "places"))
    return Words(
        unseen,
        _side(names["she"], unseen),
        _side(names["he"], unseen),
        _side(names["surnames"], unseen),
        _side(sorted({*props["first"], *adjectives}), unseen),
        _side(props["second"], unseen),
        _side(places["first"], unseen),
        _side(places["second"], unseen),
    )


def _side(entries: Iterable[str], unseen: bool) -> tuple[str, ...]:
    return tuple(entry for entry in entries if is_unseen(entry) == unseen)


def article(phrase: str) -> str:
    """Return the phrase with "a" or "an" before it."""
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


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; every text may hold the slots of the beats, and {name}."""

    name: str
    titles: tuple[str, ...]
    tags: tuple[str, ...]
    scenarios: tuple[str, ...]
    lore: tuple[str, ...]
    goals: tuple[str, ...]
    places: tuple[str, ...]
    nouns: tuple[str, ...]


@cache
def settings(unseen: bool) -> tuple[Setting, ...]:
    """Return all settings, with the words of one side of the split; the first fits anywhere."""
    entries = (*corpus("frames")["setting"], *corpus("settings/settings")["setting"])
    return tuple(_setting(entry, unseen) for entry in entries)


def _setting(entry: dict[str, Any], unseen: bool) -> Setting:
    whole = ("titles", "tags", "scenarios", "lore", "goals")
    split = (_side(entry.get(key, ()), unseen) for key in ("places", "nouns"))
    return Setting(entry["name"], *(tuple(entry.get(key, ())) for key in whole), *split)


def people() -> dict[str, Any]:
    """Return what describes people: looks, jobs, habits, wants, tempers, talk out of character."""
    return corpus("settings/people")
