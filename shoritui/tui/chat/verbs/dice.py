"""Dice: what is thrown stands in the story as text, so that the model reads it, too.

2d6+3  ->  Sable rolls 2d6+3: 4 + 6 + 3 = 13.
"""

from __future__ import annotations

from shoritui.dice import thrown
from shoritui.tui.chat.app_protocol import Host

_USUAL = "1d20"


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


def usual(_: Host) -> list[str]:
    """Return what `/roll` completes."""
    return ["d20", "2d6", "d100", "3d6", "4d6"]
