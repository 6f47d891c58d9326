"""A GGUF file of a known architecture, written as a Hugging Face folder."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from shoritui.files import check_space
from shoritui.gguf.checkpoint import Dtype, Stored, write_safetensors
from shoritui.gguf.config import Blank, understood
from shoritui.gguf.converted import Tensors
from shoritui.gguf.read import Floats, GgufFile
from shoritui.gguf.vocabulary.kept import keep
from shoritui.gguf.write import KIND_IDS, ByteProgress

if TYPE_CHECKING:
    from shoritui.gguf.shape import Rows

VERSION: Final = 4
"""Of what a folder holds: where it changes, folders that were kept are made anew."""
_AS_STORED: Final[Mapping[int, Dtype]] = {KIND_IDS["F16"]: "F16", KIND_IDS["BF16"]: "BF16"}
"""Everything else becomes F32, which holds any of it exactly."""
_DTYPES: Final[Mapping[Dtype, str]] = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def write_folder(
    source: Path, folder: Path, blank: Blank, report: ByteProgress | None = None
) -> None:
    """Write the same model into a folder that is there: config.json, weights, and its vocabulary.

    Tensors that are quantised are there in F32; some rows are in memory at a time. `blank` knows
    the models of transformers. `UserError` if the file is missing, damaged, or not a model that
    can be read here, or if there is not enough room.
    """
    file = GgufFile(source)
    model = understood(file, blank)
    origins = _origins(file, model.tensors)
    tensors = {name: origin.stored for name, origin in origins.items()}
    wanted = sum(tensor.size_bytes for tensor in tensors.values())
    check_space(folder.parent, wanted, f"what {source.name} holds")
    keep(file, folder)
    config = {**model.config, "dtype": _DTYPES[_matrices(tensors)]}
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")

    def data(name: str) -> Iterator[npt.NDArray[Any]]:
        for floats in _floats(file, origins[name]):
            yield _encoded(floats, tensors[name].dtype)

    write_safetensors(folder / "model.safetensors", tensors, data, report)


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a tensor of the folder is in the file."""

    name: str
    stored: Stored
    part: int
    """Which of those that the file has as one."""
    rows: Rows | None
    """For each row of the file the folder's; None if they are the same."""
    is_transposed: bool
    added: int
    """What the file has added to its numbers."""


def _origins(file: GgufFile, tensors: Tensors) -> dict[str, _Origin]:
    ends = tensors.architecture.adds_one
    origins = {}
    for name, parts in tensors.parts.items():
        shape = file.shape(name) if len(parts) == 1 else file.shape(name)[1:]
        is_transposed = tensors.is_transposed(name)
        dtype = _AS_STORED.get(file.tensors[name].kind, "F32")
        for part, (other, order) in enumerate(parts):
            origins[other] = _Origin(
                name,
                Stored(dtype, shape[::-1] if is_transposed else shape),
                part,
                order.rows,
                is_transposed,
                int(bool(ends) and other.endswith(ends)),
            )
    return origins


def _matrices(tensors: Mapping[str, Stored]) -> Dtype:
    """Return the number format that all matrices share; F32 if they share none."""
    kinds = {tensor.dtype for tensor in tensors.values() if len(tensor.shape) > 1}
    return kinds.pop() if len(kinds) == 1 else "F32"


def _floats(file: GgufFile, origin: _Origin) -> Iterator[Floats]:
    """Yield the numbers of a tensor as the folder has them, some rows at a time."""
    shape = file.shape(origin.name)
    order = None if origin.rows is None else np.argsort(origin.rows)
    if len(shape) == 1:
        values = np.concatenate(list(file.rows(origin.name)))
        yield (values if order is None else values[order]) - origin.added
        return
    rows = math.prod(origin.stored.shape[:-1])
    if origin.is_transposed:
        yield np.concatenate(list(file.rows(origin.name))).T
        return
    if rows != math.prod(shape[:-1]):
        order = origin.part * rows + (np.arange(rows) if order is None else order)
    for values in file.rows(origin.name, order):
        yield values - origin.added if origin.added else values


def _encoded(floats: Floats, dtype: Dtype) -> npt.NDArray[Any]:
    if dtype == "BF16":
        return (np.ascontiguousarray(floats, "<f4").view("<u4") >> 16).astype("<u2")
    return floats.astype("<f2" if dtype == "F16" else "<f4")
