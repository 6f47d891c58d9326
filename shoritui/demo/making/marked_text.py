"""Text whose pieces are marked by what a reader can know about them: news, repetition, pronoun.

Training weighs the marks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from shoritui.demo.making.beats import SLOT

Mark = Literal["news", "repeat", "thing", "pronoun"]
THINGS = frozenset(("prop", "prop2", "a_prop", "PROP", "place", "place2"))


@dataclass(frozen=True, slots=True)
class Span:
    """A marked piece of a text; offsets in characters."""

    start: int
    end: int
    mark: Mark


@dataclass(slots=True)
class Marked:
    """A text that grows, with its marks."""

    text: str = ""
    spans: list[Span] = field(default_factory=list)

    def add(self, text: str, mark: Mark | None = None) -> None:
        """Append a text, marked or plain."""
        if mark:
            self.spans.append(Span(len(self.text), len(self.text) + len(text), mark))
        self.text += text

    def join(self, other: Marked) -> None:
        """Append another marked text."""
        start = len(self.text)
        self.spans += [Span(s.start + start, s.end + start, s.mark) for s in other.spans]
        self.text += other.text


def fill(template: str, values: dict[str, str], known: set[str]) -> Marked:
    """Return the template with its slots filled.

    A word of `known` is a repetition, of a thing or of another word; any other is news and joins
    `known`. Pronoun slots are those whose value is a pronoun of one person.
    """
    out = Marked()
    for index, piece in enumerate(SLOT.split(template)):
        if index % 2 == 0:
            out.add(piece)
            continue
        value = values[piece]
        if value in PRONOUNS:
            out.add(value, "pronoun")
            continue
        if re.search(r"\b[aA] $", out.text) and value[0] in "aeiouAEIOU":
            out.text = f"{out.text[:-1]}n "
        bare = value.partition(" ")[2] if piece.startswith("a_") else value
        out.add(value[: len(value) - len(bare)])
        again: Mark = "thing" if piece in THINGS else "repeat"
        out.add(bare, again if bare.casefold() in known else "news")
        known.add(bare.casefold())
    return out


PRONOUNS = frozenset(
    {"she", "her", "hers", "herself", "She", "Her"} | {"he", "him", "his", "himself", "He", "His"}
)


def pronouns(she: bool, before: str = "") -> dict[str, str]:
    """Return the values of the pronoun slots of one person; `before` is "" or "other_"."""
    slots = [f"{before}{form}" for form in ("she", "her_obj", "her", "hers", "herself")]
    forms = "she her her hers herself" if she else "he him his his himself"
    values = dict(zip(slots, forms.split(), strict=True))
    return values | {slot.capitalize(): values[slot].capitalize() for slot in (slots[0], slots[2])}
