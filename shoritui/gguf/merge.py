"""A LoRA adapter merged into its base: one model that runs faster than the two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shoritui.errors import UserError
from shoritui.gguf.lora.layout import Base
from shoritui.gguf.model import EMBEDDING, HEAD, Model
from shoritui.gguf.read import Floats, GgufFile
from shoritui.gguf.write import KIND_IDS, ByteProgress, Kind, Tensor, write_gguf
from shoritui.text import printable

_Bytes = npt.NDArray[np.uint8]
_BLOCK: Final = 32
_FILE_TYPE: Final = 7
"""llama.cpp's `LLAMA_FTYPE_MOSTLY_Q8_0`."""


def merged(base: Model, adapter: Path) -> Model:
    """Return the base as a LoRA GGUF makes it, in fp32; one tensor is in memory at a time.

    An adapter of the output head, or of the embeddings, unties the two.

    Raises:
        UserError: The adapter is damaged, or not for this base.
    """
    lora = GgufFile(adapter)
    changed = {name.removesuffix(".lora_a") for name in lora.tensors if name.endswith(".lora_a")}
    whole = untied(base.base) if changed & {HEAD, EMBEDDING} else base.base
    if strange := changed - whole.tensors.keys():
        raise UserError(f"{adapter} is for {printable(min(strange))}, which its base has not.")

    def floats(name: str) -> Floats:
        source = name if name in base.base.tensors else EMBEDDING
        weights = base.floats(source)
        return weights + _change(lora, name, weights.shape) if name in changed else weights

    return replace(base, base=whole, floats=floats)


def untied(base: Base) -> Base:
    """Return a base whose output head is a tensor of its own."""
    return replace(base, tensors={**base.tensors, HEAD: base.tensors[EMBEDDING]})


def _change(lora: GgufFile, name: str, shape: tuple[int, ...]) -> Floats:
    """Return what an adapter adds to a tensor of this shape."""
    a, b = (_floats(lora, f"{name}.lora_{side}") for side in "ab")
    try:
        change: Floats = a @ b.T if name == EMBEDDING else b @ a
    except ValueError:
        change = np.empty(0, np.float32)
    if len(shape) == 1 and len(change) == 1:  # one row is often stored as no row
        change = change[0]
    if change.shape != shape:
        raise UserError(f"{lora.path}: {name} is not of its base's sizes.")
    return change * np.float32(lora.number("adapter.lora.alpha") / b.shape[-1])


def write_merged(
    target: Path, base: Path, adapter: Path, report: ByteProgress | None = None
) -> None:
    """Write the base as the adapter makes it: the matrices that it changes in Q8_0, the rest as is.

    Blocks of numbers are read with numpy alone, which is faster than what the `gguf` package does.

    Raises:
        UserError: A file is damaged, or they do not belong together, or the base is stored in a
            way that is not known here.
        OSError: It cannot be written; an older one is untouched.
    """
    source, lora = GgufFile(base), GgufFile(adapter)
    changed = {name.removesuffix(".lora_a") for name in lora.tensors if name.endswith(".lora_a")}
    if strange := changed - source.tensors.keys():
        raise UserError(f"{adapter} is for {printable(min(strange))}, which its base has not.")
    tensors = []
    for name, place in source.tensors.items():
        if name in changed:
            tensors.append(Tensor(name, place.shape, "Q8_0", _merged(source, lora, name)))
        else:
            tensors.append(Tensor(name, place.shape, _kind(source, name), _raw(source, name)))
    metadata = source.metadata | {"general.file_type": _FILE_TYPE}
    write_gguf(target, metadata, tensors, report)


def _merged(source: GgufFile, lora: GgufFile, name: str) -> Callable[[], Iterator[_Bytes]]:
    def pieces() -> Iterator[_Bytes]:
        weights = _floats(source, name)
        yield _q8_0(weights + _change(lora, name, weights.shape))

    return pieces


def _raw(source: GgufFile, name: str) -> Callable[[], Iterator[_Bytes]]:
    return lambda: source.raw_rows(name)


def _kind(source: GgufFile, name: str) -> Kind:
    found = source.tensors[name].kind
    for kind, number in KIND_IDS.items():
        if number == found:
            return kind
    raise _unknown(source, name)


def _floats(file: GgufFile, name: str) -> Floats:
    """Return a matrix of F32, F16, Q4_1 or Q8_0."""
    if name not in file.tensors:
        raise UserError(f"{file.path} is not complete: {printable(name)} is missing.")
    data = np.concatenate(list(file.raw_rows(name)))
    read = _READ.get(file.tensors[name].kind)
    if read is None:
        raise _unknown(file, name)
    return np.ascontiguousarray(read(data).reshape(file.shape(name)), np.float32)


def _unknown(file: GgufFile, name: str) -> UserError:
    return UserError(f"{file.path}: {printable(name)} is stored in a way that cannot be merged.")


def _halves(data: _Bytes, start: int) -> Floats:
    """Return the number in half precision that stands in each block."""
    floats: Floats = data[:, start : start + 2].copy().view("<f2").astype(np.float32)
    return floats


def _q4_1(data: _Bytes) -> Floats:
    blocks = data.reshape(-1, 20)
    nibbles = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
    return nibbles * _halves(blocks, 0) + _halves(blocks, 2)


def _from_q8_0(data: _Bytes) -> Floats:
    blocks = data.reshape(-1, 34)
    return blocks[:, 2:].view(np.int8) * _halves(blocks, 0)


def _q8_0(weights: Floats) -> _Bytes:
    blocks = weights.reshape(-1, _BLOCK)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / 127
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales > 0)
    numbers = np.rint(blocks * inverse).astype(np.int8).view(np.uint8)
    return np.concatenate([scales.astype("<f2").view(np.uint8), numbers], axis=1)


_READ: Final[Mapping[int, Callable[[_Bytes], Any]]] = {
    0: lambda data: data.view("<f4"),
    1: lambda data: data.view("<f2"),
    3: _q4_1,
    8: _from_q8_0,
}
"""By ggml's numbers of types."""
