"""What lore costs: 10,000 entries looked for in 20 messages, and a pattern that never ends."""

from __future__ import annotations

import random
import time
from dataclasses import replace

from shoritui.benchmark import Aim, Figure, benchmark
from shoritui.cards import Lore, key_pattern
from shoritui.story import Entry, fire
from tests.benchmarks._story import text

ENTRIES, MESSAGES, ROUNDS = 10_000, 20, 9
HOSTILE = "/(a|aa)+$/"


@benchmark(
    Aim("lore_scan_ms", "ms", "< 20"),
    Aim("lore_turn_ms", "ms", "< 20"),
    Aim("lore_book_ms", "ms"),
    Aim("lore_hostile_ms", "ms", "< 100"),
)
def lore() -> dict[str, Figure]:
    """The scan of messages never seen, a turn with one new message, and making the book.

    It is the processor's time that counts: the machine may be busy.
    """
    dice = random.Random(4)
    words = text(dice, 1).split()
    book = tuple(
        Lore(name=f"Entry {number}", text="About it.", keys=_keys(dice, words, number))
        for number in range(ENTRIES)
    )
    made = time.process_time()
    fire(book, [])
    figures: dict[str, list[float]] = {"scan": [], "turn": []}
    figures["book"] = [1000 * (time.process_time() - made)]
    for round_ in range(ROUNDS):
        told = [_said(dice, 100 * round_ + number) for number in range(MESSAGES + 1)]
        for name, entries in (("scan", told[:-1]), ("turn", told)):
            began = time.process_time()
            fire(book, entries)
            figures[name].append(1000 * (time.process_time() - began))
    key_pattern(HOSTILE)
    began = time.process_time()
    firing = fire(
        (Lore(name="Hostile", text="x", keys=(HOSTILE,)),),
        [replace(_said(dice, number), text="a" * (40 + number) + "!") for number in range(20)],
    )
    figures["hostile"] = [1000 * (time.process_time() - began)]
    assert "takes more than" in firing.verdict(0).rule
    return {f"lore_{name}_ms": Figure(values) for name, values in figures.items()}


def _keys(dice: random.Random, words: list[str], number: int) -> tuple[str, ...]:
    return (
        f"{dice.choice(words)} {number}",
        f"name{number}*",
        f"the {dice.choice(words)} of {number}",
    )


def _said(dice: random.Random, number: int) -> Entry:
    words = f"{text(dice, number)} name{dice.randrange(ENTRIES)} spoke."
    return Entry(number, None, "message", "Maren", None, words, "complete", 0.0, 5)
