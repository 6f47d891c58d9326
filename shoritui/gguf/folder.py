"""A llama in a GGUF file, written as a Hugging Face folder: config, weights, vocabulary."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt

from shoritui.errors import UserError
from shoritui.files import check_space
from shoritui.gguf.checkpoint import Dtype, Stored, write_safetensors
from shoritui.gguf.read import GgufFile
from shoritui.gguf.shape import (
    ROPE_FACTORS,
    Shape,
    config_of,
    gguf_names,
    rows_from_gguf,
    shape_of_gguf,
)
from shoritui.gguf.vocabulary.kept import keep
from shoritui.gguf.write import KIND_IDS, ByteProgress
from shoritui.text import printable

VERSION: Final = 2
"""Of what a folder holds: where it changes, folders that were kept are made anew."""
_AS_STORED: Final[Mapping[int, Dtype]] = {KIND_IDS["F16"]: "F16", KIND_IDS["BF16"]: "BF16"}
"""Everything else becomes F32, which holds any of it exactly."""
_DTYPES: Final[Mapping[Dtype, str]] = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def write_folder(source: Path, folder: Path, report: ByteProgress | None = None) -> None:
    """Write the same model into a folder that is there: config.json, weights, and its vocabulary.

    Tensors that are quantised are there in F32. `UserError` if the file is missing, damaged, or
    not a llama that can be read here, or if there is not enough room.
    """
    file = GgufFile(source)
    shape = shape_of_gguf(file)
    _check(file, shape)
    names = gguf_names(shape)
    tensors = {name: _stored(file, other) for name, other in names.items()}
    wanted = sum(tensor.size_bytes for tensor in tensors.values())
    check_space(folder.parent, wanted, f"what {source.name} holds")
    config = config_of(shape)
    keep(file, folder)
    config["dtype"] = _DTYPES[_matrices(tensors)]
    text = json.dumps(config, indent=2) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")

    def data(name: str) -> Iterator[npt.NDArray[Any]]:
        return _rows(file, names[name], shape.rotated_heads(name))

    write_safetensors(folder / "model.safetensors", tensors, data, report)


def _check(file: GgufFile, shape: Shape) -> None:
    """`UserError` unless the file has the tensors of such a llama, and no other."""
    names = gguf_names(shape)
    strange = file.tensors.keys() - set(names.values()) - {ROPE_FACTORS}
    if strange:
        raise UserError(
            f"{file.path} holds {printable(min(strange))}, which a plain llama does not have: take "
            "the model's own folder instead."
        )
    for name, other in names.items():
        if other not in file.tensors:
            raise UserError(f"{file.path} is not complete: {name} is missing.")
        if file.shape(other) != shape.tensor_shape(name):
            raise UserError(f"{file.path}: {other} has not the shape that its metadata says.")


def _stored(file: GgufFile, name: str) -> Stored:
    return Stored(_AS_STORED.get(file.tensors[name].kind, "F32"), file.shape(name))


def _matrices(tensors: Mapping[str, Stored]) -> Dtype:
    """Return the number format that all matrices share; F32 if they share none."""
    kinds = {tensor.dtype for tensor in tensors.values() if len(tensor.shape) > 1}
    return kinds.pop() if len(kinds) == 1 else "F32"


def _rows(file: GgufFile, name: str, heads: int) -> Iterator[npt.NDArray[Any]]:
    order = rows_from_gguf(heads, file.shape(name)[0]) if heads else None
    is_as_stored = file.tensors[name].kind in _AS_STORED
    return file.raw_rows(name, order) if is_as_stored else file.rows(name, order)
