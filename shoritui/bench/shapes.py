"""Models of a chosen shape with random weights: as fast as a real one, and nothing to download.

They write nonsense. The weights are a pool of random blocks, repeated from random places: what
a token costs does not depend on their values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from shoritui.demo import model_path
from shoritui.errors import UserError
from shoritui.files import check_space, why
from shoritui.gguf.architectures import architecture_of, hyperparameters
from shoritui.gguf.header import BLOCKS
from shoritui.gguf.read import GgufFile
from shoritui.gguf.shape import EMBEDDING, HEAD, Shape, config_of, gguf_names
from shoritui.gguf.vocabulary import gguf_vocabulary
from shoritui.gguf.vocabulary.sentencepiece import (
    SentencePieceVocabulary,
    TokenType,
    pieces_of_gguf,
)
from shoritui.gguf.write import FILE_TYPES, KIND_IDS, About, Kind, Tensor, kind_for, write_gguf

Quant = Literal["q4_0", "q8_0"]
QUANTS: Final[Mapping[Quant, Kind]] = {"q4_0": "Q4_0", "q8_0": "Q8_0"}
_VOCABULARY: Final = 32_000


def _shape(layers: int, hidden: int, heads: int, kv_heads: int, intermediate: int) -> Shape:
    return Shape(
        *(hidden, intermediate, layers, heads, kv_heads, hidden // heads, _VOCABULARY),
        rope_theta=1e6,
        context=32_768,
    )


SHAPES: Final[Mapping[str, Shape]] = {
    "tiny": _shape(2, 128, 4, 2, 256),
    "100m": _shape(12, 768, 12, 4, 2048),
    "1b": _shape(22, 2048, 32, 4, 5632),
    "3b": _shape(28, 3072, 24, 8, 8192),
    "7b": _shape(32, 4096, 32, 8, 14336),
}
_VERSION: Final = 1
"""Part of the file's name: a file that another version wrote is not taken."""
_BLOCK: Final = 32
"""Weights in a quantised block."""
_POOL_BLOCKS: Final = 1 << 18
_CHUNK_BLOCKS: Final = 1 << 16
_SPARE_BYTES: Final = 1 << 30
"""Left free on the disk."""
_LOWEST_SCORE: Final = -1e6
_SYLLABLES: Final = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te", "vo")


def model_of(
    name: str, quant: Quant, folder: Path, report: Callable[[str], None] = lambda text: None
) -> Path:
    """Return the model of this shape in `folder`, written now if it is not there yet.

    `UserError` if the disk has not enough room, or the folder cannot be written.
    """
    path = folder / f"random-{name}-{quant}-v{_VERSION}.gguf"
    if path.is_file():
        return path
    shape, kind = SHAPES[name], QUANTS[quant]
    config = config_of(shape)
    metadata = {
        **hyperparameters(config, architecture_of(config, name), name),
        **About(f"random {name}").metadata,
        **gguf_vocabulary(_vocabulary()),
        "general.file_type": FILE_TYPES[kind],
    }
    tensors = tensors_of(shape, kind)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_space(
            folder,
            sum(tensor.size_bytes for tensor in tensors) + _SPARE_BYTES,
            "the model",
            "take a smaller --shape, or another folder with SHORITUI_HOME",
        )
        write_gguf(
            path,
            metadata,
            tensors,
            lambda done, total: report(f"writing the model: {done / total:.0%}"),
        )
    except OSError as error:
        raise UserError(f"{path} cannot be written: {why(error)}.") from None
    return path


def tensors_of(shape: Shape, kind: Kind) -> list[Tensor]:
    """Return the tensors of such a model, whose weights are made up when they are written."""
    blocks = _Blocks()
    tensors = []
    for name, other in gguf_names(shape).items():
        sizes = shape.tensor_shape(name)
        tensor = Tensor(other, sizes, kind_for(sizes, kind), partial(_ones, sizes))
        if tensor.kind == kind:
            tensor = replace(tensor, pieces=partial(blocks.of, tensor, _deviation(name, sizes)))
        tensors.append(tensor)
    return tensors


def _ones(sizes: tuple[int, ...]) -> Iterable[NDArray[np.float32]]:
    return [np.ones(sizes, "<f4")]


def _deviation(name: str, sizes: tuple[int, ...]) -> float:
    """Return that of weights which keep activations, and with them logits, at a sane size."""
    if name == EMBEDDING:
        return 1.0
    gain = 3.0 if name == HEAD else 1.0  # some tokens are likely, as in prose
    return float(gain / np.sqrt(sizes[-1]))


class _Blocks:
    """Random quantised blocks, of which there is one pool for each type and deviation."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._pools: dict[tuple[Kind, float], NDArray[np.uint8]] = {}

    def of(self, tensor: Tensor, deviation: float) -> Iterator[NDArray[np.uint8]]:
        """Yield as many as the tensor has."""
        key = (tensor.kind, deviation)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = self._pool(*key)
        left = tensor.size_bytes // BLOCKS[KIND_IDS[tensor.kind]][1]
        while left:
            some = min(left, _CHUNK_BLOCKS)
            begin = int(self._random.integers(len(pool) - some + 1))
            yield pool[begin : begin + some]
            left -= some

    def _pool(self, kind: Kind, deviation: float) -> NDArray[np.uint8]:
        if kind == "Q8_0":
            numbers = self._random.integers(-127, 128, (_POOL_BLOCKS, _BLOCK), np.int8)
            spread, body = 127 / np.sqrt(3), numbers.view(np.uint8)
        else:  # two numbers in a byte, 8 stands for zero; 0 is left out, so that the mean is zero
            low, high = self._random.integers(1, 16, (2, _POOL_BLOCKS, _BLOCK // 2), np.uint8)
            spread, body = np.sqrt(56 / 3), low | (high << 4)
        scales = np.full((_POOL_BLOCKS, 1), deviation / spread, "<f2").view(np.uint8)
        return np.concatenate([scales, body], axis=1)


def _vocabulary() -> SentencePieceVocabulary:
    """Return that of the model that ships, with made-up words up to the size of a large one's."""
    shipped = pieces_of_gguf(GgufFile(model_path()))
    missing = _VOCABULARY - len(shipped.pieces)
    words = tuple(islice(_made_up(frozenset(shipped.pieces)), missing))
    return replace(
        shipped,
        pieces=shipped.pieces + words,
        scores=shipped.scores + (_LOWEST_SCORE,) * missing,
        types=shipped.types + (int(TokenType.NORMAL),) * missing,
    )


def _made_up(taken: frozenset[str]) -> Iterator[str]:
    for number in count(len(_SYLLABLES) + 1):
        word, rest = "▁", number
        while rest:
            rest, syllable = divmod(rest, len(_SYLLABLES))
            word += _SYLLABLES[syllable]
        if word not in taken:
            yield word
