"""Dice: what is thrown stands in the story as text, so that the model reads it, too.

2d6+3  ->  Sable rolls 2d6+3: 4 + 6 + 3 = 13.
"""

from __future__ import annotations

from random import SystemRandom

from shoritui.dice import dice_of
from shoritui.tui.chat.app_protocol import Host

_USUAL = "1d20"
_random = SystemRandom()


def roll(host: Host, argument: str) -> None:
    """Throw dice; the result is said by whom the user speaks as, and nobody answers yet."""
    if host.director is None:
        host.report("No story is open.")
        return
    result = thrown(argument or _USUAL)
    if not result:
        host.report(f"{argument} is no dice: write them as 2d6+3 or d20.", trouble=True)
        return
    user = host.director.chat.user
    host.performance.play(host.director.say(f"{user} rolls {result}."))


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


def usual(_: Host) -> list[str]:
    """Return what `/roll` completes."""
    return ["d20", "2d6", "d100", "3d6", "4d6"]
