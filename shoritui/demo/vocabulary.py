"""What the demo model's vocabulary is learned from: the corpus, mostly without its names.

So every name, seen or not, is spelled in pieces that are common to all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from shoritui.blockml import LENGTHS, ROLES
from shoritui.demo.beats import SLOT, corpus_beats
from shoritui.demo.casting import Plan, frames
from shoritui.demo.marked import PRONOUNS
from shoritui.demo.pieces import learn_pieces
from shoritui.demo.scenes import make_scene
from shoritui.demo.settings import people
from shoritui.demo.words import lists, words

SIZE = 4000
_CAPITAL = re.compile(r"\b[A-Z][a-z]*")
_LETTERS = (
    "".join(map(chr, range(33, 127))) + "éèêëàâäáãåæçíîïñóôöòõøúûüùýßœÉÀÖÜÄÅØÆÇÑ£€°½¡¿´·×÷«»“”‘’–—…"
)


def learn_vocabulary(seed: int) -> bytes:
    """The vocabulary as a SentencePiece model file."""
    return learn_pieces(_lines(Random(seed)), SIZE)


def _lines(rng: Random) -> Iterator[str]:
    yield from _LETTERS
    for beat in corpus_beats()[0]:
        for piece in SLOT.split(beat.text)[::2]:
            yield f" {piece.strip()}"
            yield from _CAPITAL.findall(piece)
    for seed in range(400):
        yield from _frame_lines(seed)
    side = words(unseen=False)
    for word in (*side.prop_firsts, *side.prop_seconds, *side.place_firsts, *side.place_seconds):
        yield f" {word}"
    for temper in (*lists()["tempers"].values(), *people()["tempers"].values()):
        for word in temper:
            yield from (f" {word}", word.capitalize())
    for job in people()["jobs"]:
        yield f" {job}"
    for word in sorted(PRONOUNS):
        yield from [f" {word}"] * 300
    for instruction in frames()["instructions"]:
        yield from [f"[INST] {instruction} [/INST]"] * 60
    for length in LENGTHS:
        yield from [f"message (length: {length})"] * 300
    for role in ROLES:
        yield from [role] * 300
    for _ in range(400):
        name = side.name(rng, rng.random() < 0.5)
        yield from (name, f" {name}")


def _frame_lines(seed: int) -> Iterator[str]:
    """What stands before the messages of a scene, with its names, props and places cut out."""
    scene = make_scene(seed, Plan(1), len)
    at = 0
    for span in scene.spans:
        yield from scene.text[at : span.start].splitlines()
        at = span.end
