"""Made-up stories for measuring: as long as wanted, the same on every machine.

A tag makes two stories differ from their first block on.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Final

from shoritui.blockml import Block, Length, description_body, message_header, render
from shoritui.cards import Card, Character, Lore
from shoritui.engine import Segment

NAMES: Final = ("Ada", "Bram", "Cleo", "Dov", "Edda", "Finn", "Greta", "Hugo")
"""Each begins with another letter, so that their first tokens differ in any vocabulary."""
LORE: Final = {
    "lamp": "The lamp on the quay was lit once a year, on the evening of the first frost.",
    "well": "Nobody had drawn water from the old well since the winter of the flood.",
    "bell": "The bell of the ferry was cast from a hundred spoons, and it sounds like them.",
    "bridge": "The bridge is older than the village; its builder left no name, only a mark.",
    "garden": "The garden behind the mill grows herbs that sleep by day.",
}
_SUBJECTS: Final = ("the ferry", "a lantern", "the old door", "her brother", "the baker", "a gull")
_VERBS: Final = ("waited for", "walked past", "looked at", "remembered", "carried", "laughed at")
_OBJECTS: Final = ("the river", "a small boat", "the kitchen", "warm bread", "the rain", "a map")
_ENDS: Final = ("in the morning", "without a word", "once more", "at the table", "by the window")


def header(tag: str, speakers: int = 5) -> list[Segment]:
    """Return what stands before the messages."""
    blocks = [
        Block("title", f"The ferry, {tag}"),
        Block("tags", "ferry, kitchen, rain"),
        *(Block("description", _description(name)) for name in NAMES[:speakers]),
        Block("scenario", "Before the evening, everybody must be on the other side."),
    ]
    return [Segment(render(block)) for block in blocks]


def messages(tag: str) -> Iterator[Segment]:
    """Return messages without end, the speakers in turns."""
    return (message(number, prose(36, f"{tag} {number}")) for number in count())


def message(number: int, text: str) -> Segment:
    """Return the message of whose turn it is."""
    return Segment(render(Block("message", text, NAMES[number % 5], "short")))


def opened(number: int, length: Length = "short") -> Segment:
    """Return where a reply begins."""
    return Segment(message_header(NAMES[number % 5], length))


def closed(header: Segment, text: str) -> Segment:
    """Return the reply that began there, now a message."""
    return Segment(f"{header.text}{text}▄\n")


def prose(words: int, seed: str) -> str:
    """Return at least so many words of plain sentences; the same seed gives the same ones."""
    random = Random(seed)
    sentences: list[str] = []
    while sum(len(sentence.split()) for sentence in sentences) < words:
        parts = (_SUBJECTS, _VERBS, _OBJECTS, _ENDS)
        sentence = " ".join(random.choice(part) for part in parts)
        sentences.append(f"{sentence[0].upper()}{sentence[1:]}.")
    return " ".join(sentences)


def card() -> Card:
    """Return a scene for whole turns: five speakers, and lore that fires when it comes up."""
    return Card(
        title="The ferry",
        tags=("ferry", "kitchen", "rain"),
        scenario="Before the evening, everybody must be on the other side.",
        characters=tuple(
            Character(name=name, description=_description(name), user=name == NAMES[0])
            for name in NAMES[:5]
        ),
        lore=tuple(Lore(name=key, text=text, keys=(key,)) for key, text in LORE.items()),
    )


def _description(name: str) -> str:
    return description_body(name, f"{name} keeps to the quay. {prose(24, name)}")
