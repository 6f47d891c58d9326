"""The demo model's vocabulary: SentencePiece pieces, learned from the corpus, and text to ids.

They are learned mostly without names, so that every name, seen or not, is spelled in pieces that
are common to all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from random import Random

import numpy as np
import numpy.typing as npt
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from shoritui.blockml import LENGTHS, ROLES
from shoritui.demo.making.beats import SLOT, corpus_beats
from shoritui.demo.making.cast import Plan
from shoritui.demo.making.marked_text import PRONOUNS, Mark, Span
from shoritui.demo.making.scenes import make_scene
from shoritui.demo.making.words import corpus, lists, people, words

WALLS = ("▀", "▄", "\n")
SPACE = "▁"  # U+2581: how a piece writes a space
SIZE = 4000
_CAPITAL = re.compile(r"\b[A-Z][a-z]*")
_LETTERS = (
    "".join(map(chr, range(33, 127))) + "éèêëàâäáãåæçíîïñóôöòõøúûüùýßœÉÀÖÜÄÅØÆÇÑ£€°½¡¿´·×÷«»“”‘’–—…"
)

Ids = npt.NDArray[np.int64]


class Pieces:
    """Text to ids, with the marks of its pieces."""

    def __init__(self, model: bytes) -> None:
        self.model = model
        self.processor = SentencePieceProcessor(model_proto=model)
        self.size: int = self.processor.vocab_size()
        self.bos: int = self.processor.bos_id()
        self.walls = tuple(self.encode(wall)[0] for wall in WALLS)
        self._width = np.array([self._bytes(i) for i in range(self.size)])

    def count(self, text: str) -> int:
        """Return how many tokens a text has."""
        return len(self.processor.encode(text))

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without a beginning."""
        ids: list[int] = self.processor.encode(text)
        return ids

    def weigh(
        self, text: str, spans: Sequence[Span], weights: Mapping[Mark, float]
    ) -> tuple[Ids, npt.NDArray[np.float32]]:
        """Return a text's ids, and of each the weight of the mark that covers its last byte."""
        ids = np.array(self.encode(text))
        ends = self.ends(text)
        place = np.ones(int(ends[-1]), np.float32)
        offsets = np.concatenate([[0], np.cumsum([len(c.encode()) for c in text])])
        for span in spans:
            place[offsets[span.start] : offsets[span.end]] = weights[span.mark]
        return ids, place[ends - 1]

    def ends(self, text: str) -> Ids:
        """Return where each token of the text ends, in bytes of UTF-8."""
        return np.cumsum(self._width[self.encode(text)])

    def twins(self) -> list[tuple[int, int]]:
        """Capital pieces that occur with and without a space before them, as such pairs."""
        ids = {self.processor.id_to_piece(i): i for i in range(self.size)}
        capital = ((piece, i) for piece, i in ids.items() if piece[:1].isupper())
        return [(i, ids[SPACE + piece]) for piece, i in capital if SPACE + piece in ids]

    def _bytes(self, piece: int) -> int:
        if self.processor.is_byte(piece):
            return 1
        text: str = self.processor.id_to_piece(piece)
        return len(text.replace(SPACE, " ").encode())


def learn_vocabulary(seed: int) -> bytes:
    """Learn the vocabulary from the corpus; return it as a SentencePiece model file.

    Block characters and newlines are pieces of their own that never merge with anything; what
    no piece covers is spelled in bytes; no space is put before a text.
    """
    model = BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=_lines(Random(seed)),
        model_writer=model,
        model_type="bpe",
        vocab_size=SIZE,
        user_defined_symbols=list(WALLS),
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        split_digits=True,
        max_sentencepiece_length=16,
        num_threads=2,
        minloglevel=2,
    )
    return model.getvalue()


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
    for instruction in corpus("frames")["instructions"]:
        yield from [f"[INST] {instruction} [/INST]"] * 60
    for length in LENGTHS:
        yield from [f"message (length: {length})"] * 300
    for role in ROLES:
        yield from [role] * 300
    for _ in range(400):
        name = side.name(rng, rng.random() < 0.5)
        yield from (name, f" {name}")


def _frame_lines(seed: int) -> Iterator[str]:
    """Yield what stands before a scene's messages, its names, props and places cut out."""
    scene = make_scene(seed, Plan(1), len)
    at = 0
    for span in scene.spans:
        yield from scene.text[at : span.start].splitlines()
        at = span.end
