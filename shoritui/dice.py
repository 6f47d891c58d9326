"""Dice as people write them: `2d6+3`, `d20`, `D100 - 1`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Final

_DICE: Final = re.compile(
    r"(?P<count>\d{0,3})d(?P<sides>\d{1,4})(?P<plus>[+-]\d{1,4})?", re.ASCII | re.IGNORECASE
)
_MOST_DICE: Final = 100
_random: Final = SystemRandom()


@dataclass(frozen=True, slots=True)
class Dice:
    """So many dice, and what is added to their sum."""

    name: str
    """How they were written, without blanks."""
    count: int
    sides: int
    plus: int

    def throw(self, random: Random) -> list[int]:
        """Return what each of them shows."""
        return [random.randint(1, self.sides) for _ in range(self.count)]


def dice_of(written: str) -> Dice | None:
    """Return the dice that are written so; None if those are none, or too many."""
    found = _DICE.fullmatch("".join(written.split()))
    if found is None:
        return None
    dice = Dice(
        found[0].lower(), int(found["count"] or 1), int(found["sides"]), int(found["plus"] or 0)
    )
    return dice if 1 <= dice.count <= _MOST_DICE and dice.sides > 1 else None


def thrown(written: str) -> str:
    """Return dice and what they show, `2d6+3: 4 + 6 + 3 = 13`; empty for what are no dice."""
    dice = dice_of(written)
    if dice is None:
        return ""
    shown, plus = dice.throw(_random), dice.plus
    total = sum(shown) + plus
    if len(shown) == 1 and not plus:
        return f"{dice.name}: {total}"
    sign = " + " if plus > 0 else " - "
    terms = " + ".join(map(str, shown)) + (f"{sign}{abs(plus)}" if plus else "")
    return f"{dice.name}: {terms} = {total}"
