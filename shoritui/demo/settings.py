"""Where scenes play: titles, tags, lore, goals, places and things of each setting, from TOML files.

It knows nothing of people or of messages.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any

from shoritui.demo.words import CORPUS, is_unseen


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

    def side(self, unseen: bool) -> Setting:
        """The same setting with the places and nouns of one side of the split."""
        return Setting(
            self.name,
            self.titles,
            self.tags,
            self.scenarios,
            self.lore,
            self.goals,
            tuple(p for p in self.places if is_unseen(p) == unseen),
            tuple(n for n in self.nouns if is_unseen(n) == unseen),
        )


@cache
def settings(unseen: bool) -> tuple[Setting, ...]:
    """All settings, with the words of one side of the split; the first fits anywhere."""
    paths = [CORPUS / "frames.toml", CORPUS / "settings" / "settings.toml"]
    return tuple(
        _setting(entry).side(unseen)
        for path in paths
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["setting"]
    )


def _setting(entry: dict[str, Any]) -> Setting:
    keys = ("titles", "tags", "scenarios", "lore", "goals", "places", "nouns")
    return Setting(entry["name"], *(tuple(entry.get(key, ())) for key in keys))


@cache
def people() -> dict[str, Any]:
    """What describes people: looks, jobs, habits, wants, tempers, talk out of character."""
    text = (CORPUS / "settings" / "people.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
