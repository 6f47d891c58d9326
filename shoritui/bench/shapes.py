"""Models of a chosen shape with random weights: as fast as a real one, and nothing to download.

They write nonsense. The weights are a pool of random blocks, repeated from random places: what
a token costs does not depend on their values.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from shoritui.bench.gguf import (
    BLOCK,
    BLOCK_BYTES,
    Kind,
    Tensor,
    Value,
    header,
    read_metadata,
    write_tensors,
)
from shoritui.demo import model_path
from shoritui.errors import UserError

Quant = Literal["q4_0", "q8_0"]


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a llama."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    hidden: int


SHAPES: Final[Mapping[str, Shape]] = {
    "tiny": Shape(2, 128, 4, 2, 256),
    "100m": Shape(12, 768, 12, 4, 2048),
    "1b": Shape(22, 2048, 32, 4, 5632),
    "3b": Shape(28, 3072, 24, 8, 8192),
    "7b": Shape(32, 4096, 32, 8, 14336),
}
QUANTS: Final[Mapping[Quant, Kind]] = {"q4_0": "Q4_0", "q8_0": "Q8_0"}
_FILE_TYPES: Final[Mapping[Quant, int]] = {"q4_0": 2, "q8_0": 7}
_VOCABULARY: Final = 32_000
_CONTEXT: Final = 32_768
_VERSION: Final = 1
"""Part of the file's name: a file that another version wrote is not taken."""
_POOL_BLOCKS: Final = 1 << 18
_CHUNK_BLOCKS: Final = 1 << 16
_SPARE_BYTES: Final = 1 << 30
"""Left free on the disk."""
_NORMAL: Final = 1
_LOWEST_SCORE: Final = -1e6
_SYLLABLES: Final = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te", "vo")


def model_of(
    shape: str, quant: Quant, folder: Path, tell: Callable[[str], None] = lambda text: None
) -> Path:
    """The model of this shape in `folder`, written now if it is not there yet.

    Raises:
        UserError: There is not enough room on the disk, or the folder cannot be written.
    """
    path = folder / f"random-{shape}-{quant}-v{_VERSION}.gguf"
    if path.is_file():
        return path
    metadata = _metadata(SHAPES[shape], f"random {shape}", quant)
    tensors = _tensors(SHAPES[shape], QUANTS[quant])
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_disk(folder, sum(tensor.size_bytes for tensor in tensors))
        with part.open("wb") as file:
            file.write(header(metadata, tensors))
            _Weights(SHAPES[shape], tensors, tell).write(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        part.unlink(missing_ok=True)
    return path


def _check_disk(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE_BYTES:
        raise UserError(
            f"The model takes {size / 2**30:.1f} GiB, but {folder} has {free / 2**30:.1f} GiB "
            "free: take a smaller --shape, or another folder with SHORITUI_HOME."
        )


def _tensors(shape: Shape, kind: Kind) -> list[Tensor]:
    wide, kv_wide = shape.width, shape.width // shape.heads * shape.kv_heads
    matrices = {
        "attn_q": (wide, wide),
        "attn_k": (wide, kv_wide),
        "attn_v": (wide, kv_wide),
        "attn_output": (wide, wide),
        "ffn_gate": (wide, shape.hidden),
        "ffn_up": (wide, shape.hidden),
        "ffn_down": (shape.hidden, wide),
    }
    tensors = [Tensor("token_embd.weight", (wide, _VOCABULARY), kind)]
    for layer in range(shape.layers):
        for name in ("attn_norm", "ffn_norm"):
            tensors.append(Tensor(f"blk.{layer}.{name}.weight", (wide,), "F32"))
        for name, dimensions in matrices.items():
            tensors.append(Tensor(f"blk.{layer}.{name}.weight", dimensions, kind))
    tensors.append(Tensor("output_norm.weight", (wide,), "F32"))
    return [*tensors, Tensor("output.weight", (wide, _VOCABULARY), kind)]


class _Weights:
    """Random weights that keep the activations, and with them the logits, at a sane size."""

    def __init__(self, shape: Shape, tensors: list[Tensor], tell: Callable[[str], None]) -> None:
        self._shape = shape
        self._tensors = tensors
        self._tell = tell
        self._random = np.random.default_rng(0)
        self._pools: dict[tuple[Kind, float], NDArray[np.uint8]] = {}
        self._written = 0
        self._total = sum(tensor.size_bytes for tensor in tensors)

    def write(self, file: IO[bytes]) -> None:
        """All tensors' data, in order."""
        write_tensors(file, self._tensors, self._write)

    def _write(self, file: IO[bytes], tensor: Tensor) -> None:
        if tensor.kind == "F32":
            file.write(np.ones(tensor.shape, "<f4").tobytes())
        else:
            self._write_blocks(file, tensor)
        self._written += tensor.size_bytes
        self._tell(f"writing the model: {self._written / self._total:.0%}")

    def _write_blocks(self, file: IO[bytes], tensor: Tensor) -> None:
        pool = self._pool(tensor.kind, self._deviation(tensor))
        left = tensor.size_bytes // BLOCK_BYTES[tensor.kind]
        while left:
            count = min(left, _CHUNK_BLOCKS)
            begin = int(self._random.integers(len(pool) - count + 1))
            file.write(pool[begin : begin + count].data)
            left -= count

    def _deviation(self, tensor: Tensor) -> float:
        if tensor.name == "token_embd.weight":
            return 1.0
        gain = 3.0 if tensor.name == "output.weight" else 1.0  # some tokens are likely, as in prose
        return float(gain / np.sqrt(tensor.shape[0]))

    def _pool(self, kind: Kind, deviation: float) -> NDArray[np.uint8]:
        """Random blocks whose weights have this standard deviation and no mean."""
        key = (kind, deviation)
        if key not in self._pools:
            self._pools[key] = self._blocks(kind, deviation)
        return self._pools[key]

    def _blocks(self, kind: Kind, deviation: float) -> NDArray[np.uint8]:
        if kind == "Q8_0":
            numbers = self._random.integers(-127, 128, (_POOL_BLOCKS, BLOCK), np.int8)
            spread, body = 127 / np.sqrt(3), numbers.view(np.uint8)
        else:  # two numbers in a byte, 8 stands for zero; 0 is left out, so that the mean is zero
            low, high = self._random.integers(1, 16, (2, _POOL_BLOCKS, BLOCK // 2), np.uint8)
            spread, body = np.sqrt(56 / 3), low | (high << 4)
        scales = np.full((_POOL_BLOCKS, 1), deviation / spread, "<f2").view(np.uint8)
        return np.concatenate([scales, body], axis=1)


def _metadata(shape: Shape, name: str, quant: Quant) -> dict[str, Value]:
    head = shape.width // shape.heads
    return {
        "general.architecture": b"llama",
        "general.name": name.encode(),
        "general.file_type": _FILE_TYPES[quant],
        "general.quantization_version": 2,
        "llama.context_length": _CONTEXT,
        "llama.embedding_length": shape.width,
        "llama.block_count": shape.layers,
        "llama.feed_forward_length": shape.hidden,
        "llama.attention.head_count": shape.heads,
        "llama.attention.head_count_kv": shape.kv_heads,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": head,
        "llama.rope.freq_base": 1e6,
        "llama.vocab_size": _VOCABULARY,
        **_vocabulary(),
    }


def _vocabulary() -> dict[str, Value]:
    """That of the model that ships, filled up with made-up words to the size of a large one's."""
    try:
        shipped = read_metadata(model_path())
    except (OSError, ValueError):
        raise UserError(f"{model_path()} is missing: its vocabulary is needed.") from None
    kept = {key: value for key, value in shipped.items() if key.startswith("tokenizer.")}
    tokens: list[bytes] = _listed(shipped, "tokens")
    words = _made_up(set(tokens), _VOCABULARY - len(tokens))
    scores: list[float] = _listed(shipped, "scores")
    types: list[int] = _listed(shipped, "token_type")
    return {
        **kept,
        "tokenizer.ggml.tokens": [*tokens, *words],
        "tokenizer.ggml.scores": [*scores, *[_LOWEST_SCORE] * len(words)],
        "tokenizer.ggml.token_type": [*types, *[_NORMAL] * len(words)],
    }


def _listed(metadata: Mapping[str, Value], key: str) -> list[Any]:
    value = metadata[f"tokenizer.ggml.{key}"]
    assert isinstance(value, list)
    return value


def _made_up(taken: set[bytes], count: int) -> list[bytes]:
    words: list[bytes] = []
    number = len(_SYLLABLES)
    while len(words) < count:
        number += 1
        word, rest = "", number
        while rest:
            rest, syllable = divmod(rest, len(_SYLLABLES))
            word += _SYLLABLES[syllable]
        piece = f"▁{word}".encode()
        if piece not in taken:
            taken.add(piece)
            words.append(piece)
    return words
