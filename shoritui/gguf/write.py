"""Write a GGUF file tensor by tensor, none of which need be in memory as a whole.

It replaces an older file when it is whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from struct import pack
from typing import IO, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from shoritui.files import whole_file
from shoritui.gguf.header import ALIGNMENT, ARRAY, BLOCKS, MAGIC, SCALARS, STRING, Verbatim
from shoritui.gguf.read import Floats
from shoritui.text import printable

Kind = Literal["F32", "F16", "Q4_0", "Q8_0", "BF16"]
KIND_IDS: Final[Mapping[Kind, int]] = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 8, "BF16": 30}
"""ggml's numbers of the types that are written here."""
FILE_TYPES: Final[Mapping[Kind, int]] = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7, "BF16": 32}
"""llama.cpp's `LLAMA_FTYPE_*` of a file whose matrices are of this type."""

Number = bool | int | float
Value = str | Number | Sequence[str] | Sequence[int] | Sequence[float] | Verbatim
ByteProgress = Callable[[int, int], None]
"""Hears the bytes done, and of all."""

_VERSION: Final = 3
_QUANTISATION_VERSION: Final = 2
_UINT32, _INT32, _FLOAT32, _BOOL, _UINT64 = 4, 5, 6, 7, 10


@dataclass(frozen=True, slots=True)
class About:
    """What a file says of itself."""

    name: str
    description: str = ""
    license: str = ""
    figures: Mapping[str, Number] = field(default_factory=dict)
    """More metadata by its whole key."""

    @property
    def metadata(self) -> dict[str, Value]:
        """The same, as GGUF has it."""
        return {
            "general.name": printable(self.name),
            "general.license": self.license,
            "general.description": printable(self.description),
            **self.figures,
        }


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor that is to be written."""

    name: str
    shape: tuple[int, ...]
    """As numpy counts: rows first. The last size must be whole blocks of the type."""
    kind: Kind
    pieces: Callable[[], Iterable[npt.NDArray[Any]]]
    """Gives its bytes as they are stored, in order."""

    @property
    def size_bytes(self) -> int:
        """Its bytes."""
        values, size_bytes = BLOCKS[KIND_IDS[self.kind]]
        return math.prod(self.shape) // values * size_bytes


def kind_for(shape: tuple[int, ...], kind: Kind) -> Kind:
    """Return how a tensor is stored: what has no whole blocks, in the next better way."""
    if len(shape) < 2:
        return "F32"
    return "F16" if shape[-1] % BLOCKS[KIND_IDS[kind]][0] else kind


def tensor_of(
    name: str, shape: tuple[int, ...], kind: Kind, values: Callable[[], Floats]
) -> Tensor:
    """Return a tensor of numbers that are asked for, and quantised, when it is written."""

    def pieces() -> Iterable[npt.NDArray[Any]]:
        from gguf import GGMLQuantizationType, quants

        floats = np.ascontiguousarray(values(), np.float32)
        assert floats.shape == shape, name
        yield quants.quantize(floats, GGMLQuantizationType(KIND_IDS[kind]))

    return Tensor(name, shape, kind, pieces)


def write_gguf(
    path: Path,
    metadata: Mapping[str, Value],
    tensors: Sequence[Tensor],
    report: ByteProgress | None = None,
) -> None:
    """Write the file; `OSError` if that cannot be done, and an older one is untouched."""
    total = sum(tensor.size_bytes for tensor in tensors)
    with whole_file(path) as part, part.open("wb") as file:
        file.write(_header(metadata, tensors))
        done = 0
        for tensor in tensors:
            _write(file, tensor)
            done += tensor.size_bytes
            if report:
                report(done, total)


def _write(file: IO[bytes], tensor: Tensor) -> None:
    written = sum(file.write(piece.data) for piece in tensor.pieces())
    assert written == tensor.size_bytes, tensor.name
    file.write(bytes(_padded(written) - written))


def _header(metadata: Mapping[str, Value], tensors: Sequence[Tensor]) -> bytes:
    """Return everything before the tensors' data, padded to where the first of it begins."""
    metadata = {**metadata, "general.quantization_version": _QUANTISATION_VERSION}
    parts = [MAGIC, pack("<IQQ", _VERSION, len(tensors), len(metadata))]
    parts += [_text(key) + _typed(value) for key, value in metadata.items()]
    offsets = accumulate((_padded(tensor.size_bytes) for tensor in tensors), initial=0)
    for tensor, offset in zip(tensors, offsets, strict=False):
        sizes = tensor.shape[::-1]
        parts.append(_text(tensor.name) + pack(f"<I{len(sizes)}Q", len(sizes), *sizes))
        parts.append(pack("<IQ", KIND_IDS[tensor.kind], offset))
    whole = b"".join(parts)
    return whole + bytes(_padded(len(whole)) - len(whole))


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _typed(value: Value) -> bytes:
    if isinstance(value, Verbatim):
        return value.data
    if isinstance(value, str):
        return pack("<I", STRING) + _text(value)
    if isinstance(value, Number):
        kind = _kind(value)
        return pack("<I", kind) + SCALARS[kind].pack(value)
    if value and isinstance(value[0], str):
        kind, data = STRING, b"".join(map(_text, map(str, value)))
    else:
        kind = _FLOAT32 if any(isinstance(each, float) for each in value) else _INT32
        data = pack(f"<{len(value)}{'f' if kind == _FLOAT32 else 'i'}", *value)
    return pack("<IIQ", ARRAY, kind, len(value)) + data


def _kind(number: Number) -> int:
    if isinstance(number, bool):
        return _BOOL
    if isinstance(number, float):
        return _FLOAT32
    return _UINT32 if number < 2**32 else _UINT64


def _text(text: str) -> bytes:
    data = text.encode()
    return pack("<Q", len(data)) + data
