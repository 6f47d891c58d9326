"""GGUF files: the metadata of one, and writing one tensor by tensor without holding it in memory.

It does not know models; the format is https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from struct import calcsize, pack, unpack
from typing import IO, Final, Literal

Value = bool | int | float | bytes | Sequence[int] | Sequence[float] | Sequence[bytes]
Kind = Literal["F32", "Q4_0", "Q8_0"]

ALIGNMENT: Final = 32
BLOCK: Final = 32
"""Weights in a quantised block."""
BLOCK_BYTES: Final[Mapping[Kind, int]] = {"F32": 128, "Q4_0": 18, "Q8_0": 34}
_KIND_IDS: Final[Mapping[Kind, int]] = {"F32": 0, "Q4_0": 2, "Q8_0": 8}
_MAGIC: Final = b"GGUF"
_VERSION: Final = 3
_SCALARS: Final = ("B", "b", "H", "h", "I", "i", "f", "?", "", "", "Q", "q", "d")
"""The layouts of GGUF's types by their numbers; a string and a list have none."""
_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor to be written: its name, its dimensions (the innermost first) and its format."""

    name: str
    shape: tuple[int, ...]
    kind: Kind

    @property
    def size_bytes(self) -> int:
        """Its bytes; the innermost dimension must be whole blocks."""
        count = 1
        for dimension in self.shape:
            count *= dimension
        return count // BLOCK * BLOCK_BYTES[self.kind]


def read_metadata(path: Path) -> dict[str, Value]:
    """The key-value pairs; `ValueError` if it is no GGUF file of this version."""
    with path.open("rb") as file:
        magic, version, _, count = unpack("<4sIQQ", file.read(24))
        if magic != _MAGIC or version not in (2, _VERSION):
            raise ValueError(path)
        return {
            _read_text(file).decode(): _read_value(file, _read_one(file, "I")) for _ in range(count)
        }


def header(metadata: Mapping[str, Value], tensors: Sequence[Tensor]) -> bytes:
    """Everything before the tensors' data, padded to where the first of it begins."""
    parts = [pack("<4sIQQ", _MAGIC, _VERSION, len(tensors), len(metadata))]
    parts += [_text(key.encode()) + _typed(value) for key, value in metadata.items()]
    ends = accumulate((padded(tensor.size_bytes) for tensor in tensors), initial=0)
    for tensor, offset in zip(tensors, ends, strict=False):
        shape = pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        parts.append(_text(tensor.name.encode()) + shape)
        parts.append(pack("<IQ", _KIND_IDS[tensor.kind], offset))
    whole = b"".join(parts)
    return whole + bytes(padded(len(whole)) - len(whole))


def padded(size: int) -> int:
    """The size up to the next boundary."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def write_tensors(
    file: IO[bytes], tensors: Sequence[Tensor], write: Callable[[IO[bytes], Tensor], None]
) -> None:
    """Each tensor's data where the header says; `write` gives exactly its bytes."""
    for tensor in tensors:
        write(file, tensor)
        file.write(bytes(padded(tensor.size_bytes) - tensor.size_bytes))


def _typed(value: Value) -> bytes:
    if isinstance(value, bool):
        return pack("<I?", _BOOL, value)
    if isinstance(value, int):
        return pack("<II", _UINT32, value)
    if isinstance(value, float):
        return pack("<If", _FLOAT32, value)
    if isinstance(value, bytes):
        return pack("<I", _STRING) + _text(value)
    texts = [_text(each) for each in value if isinstance(each, bytes)]
    kind = _STRING if texts else _FLOAT32 if isinstance(value[0], float) else _INT32
    layout = f"<{len(value)}{_SCALARS[kind]}"
    data = b"".join(texts) if texts else pack(layout, *value)
    return pack("<IIQ", _ARRAY, kind, len(value)) + data


def _text(data: bytes) -> bytes:
    return pack("<Q", len(data)) + data


def _read_value(file: IO[bytes], kind: int) -> Value:
    if kind == _STRING:
        return _read_text(file)
    if kind != _ARRAY:
        return _read_one(file, _SCALARS[kind])
    of, count = unpack("<IQ", file.read(12))
    if of in (_STRING, _ARRAY):
        return [_read_value(file, of) for _ in range(count)]  # type: ignore[return-value]
    layout = f"<{count}{_SCALARS[of]}"
    return list(unpack(layout, file.read(calcsize(layout))))


def _read_text(file: IO[bytes]) -> bytes:
    return file.read(_read_one(file, "Q"))


def _read_one(file: IO[bytes], layout: str) -> int:
    (value,) = unpack(f"<{layout}", file.read(calcsize(f"<{layout}")))
    assert isinstance(value, int | float)
    return value  # type: ignore[return-value]
