"""Who is there: the characters that the scene begins with, as they came and went since.

    scene           Mara, Tobin; Isolde is absent
    enter Isolde    Mara, Tobin, Isolde
    leave Tobin     Mara, Isolde

The descriptions of those who are there where the model begins to read stand in the prompt's header.
One who leaves keeps theirs until old messages go, since taking it away would have everything after
it read again; one who enters and has none there gets it at that place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from shoritui.cards import Card
from shoritui.story.model import Entry, Kind

COMINGS: Final[tuple[Kind, ...]] = ("enter", "leave")
"""What says who is there."""
_ENDS: Final = ".!?…。！？\"'”’»」』*_"


def absent(scene: Card, entries: Iterable[Entry]) -> frozenset[str]:
    """Return the names of those who are not there after these entries."""
    gone = {character.name for character in scene.characters if not character.present}
    for entry in entries:
        if entry.kind == "leave":
            gone.add(entry.speaker)
        elif entry.kind == "enter":
            gone.discard(entry.speaker)
    return frozenset(gone)


def everybody(scene: Card) -> Card:
    """Return the scene with all of its cast there from the beginning."""
    cast = scene.characters
    return replace(scene, characters=tuple(replace(each, present=True) for each in cast))


def coming(entry: Entry) -> str:
    """Return the sentence that says how somebody enters or leaves: `Mara enters.`

    The entry's text goes on from the name: `comes in, dripping wet`.
    """
    verb = "enters" if entry.kind == "enter" else "leaves"
    sentence = f"{entry.speaker} {entry.text.strip() or verb}"
    return sentence if sentence[-1] in _ENDS else f"{sentence}."
