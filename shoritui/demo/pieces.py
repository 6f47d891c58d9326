"""The demo model's vocabulary: SentencePiece pieces, learned from the corpus, and text to ids.

It knows nothing of scenes; whoever learns a vocabulary brings the lines to learn it from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from shoritui.demo.marked import Mark, Span

WALLS = ("▀", "▄", "\n")
SPACE = "▁"  # U+2581: how a piece writes a space

Ids = npt.NDArray[np.int64]


def learn_pieces(lines: Iterable[str], size: int) -> bytes:
    """A vocabulary of `size` pieces learned from the lines, as a SentencePiece model file.

    Block characters and newlines are pieces of their own that never merge with anything; what
    no piece covers is spelled in bytes; no space is put before a text.
    """
    model = BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="bpe",
        vocab_size=size,
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
        """How many tokens a text has."""
        return len(self.processor.encode(text))

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without a beginning."""
        ids: list[int] = self.processor.encode(text)
        return ids

    def weigh(
        self, text: str, spans: Sequence[Span], weights: Mapping[Mark, float]
    ) -> tuple[Ids, npt.NDArray[np.float32]]:
        """The ids of a text, and for each the weight of the mark that covers its last byte."""
        ids = np.array(self.encode(text))
        ends = self.ends(text)
        place = np.ones(int(ends[-1]), np.float32)
        offsets = np.concatenate([[0], np.cumsum([len(c.encode()) for c in text])])
        for span in spans:
            place[offsets[span.start] : offsets[span.end]] = weights[span.mark]
        return ids, place[ends - 1]

    def ends(self, text: str) -> Ids:
        """Where each token of the text ends, in bytes of UTF-8."""
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
