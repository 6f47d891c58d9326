"""A llama in a GGUF file as a folder of Hugging Face: config, weights, vocabulary.

It does not know training. A folder is made once for a content and kept in the cache.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import gguf
import numpy.typing as npt

from shoritui.errors import UserError
from shoritui.finetune.gguf.names import gguf_names, rows_from_gguf
from shoritui.finetune.gguf.reading import GgufFile, printable
from shoritui.finetune.gguf.safetensors import Dtype, Stored, write_safetensors
from shoritui.finetune.gguf.shape import ROPE_FACTORS, Sizes, config_of, sizes_of_gguf
from shoritui.finetune.gguf.tokens import tokens_of_gguf, write_tokens
from shoritui.finetune.gguf.whole import check_room, made_once
from shoritui.finetune.run.digests import digests_of
from shoritui.settings import cache_dir

_FORMAT: Final = 1
"""Of the folder: where it changes, folders are made anew."""
_AS_STORED: Final[dict[gguf.GGMLQuantizationType, Dtype]] = {
    gguf.GGMLQuantizationType.F16: "F16",
    gguf.GGMLQuantizationType.BF16: "BF16",
}
"""Everything else becomes F32, which holds any of it exactly."""
_DTYPES: Final[dict[Dtype, str]] = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
Report = Callable[[int, int], None]


def folder_of_gguf(path: Path, report: Report | None = None) -> Path:
    """The folder that holds the same model: config.json, model.safetensors, and its tokenizer.

    Tensors that are quantised are there in F32. `report` is told the bytes done and of all.

    Raises:
        UserError: The file is missing, damaged, or not a llama that can be read here; or the
            folder of the cache cannot be written.
    """
    try:
        key = f"{digests_of([path])[path]}-{_FORMAT}"
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    return made_once(
        cache_dir() / "finetune" / "bases" / key, lambda folder: _fill(folder, path, report)
    )


def _fill(folder: Path, path: Path, report: Report | None) -> None:
    file = GgufFile(path)
    sizes = sizes_of_gguf(file)
    named = _named(file, sizes)
    tensors = {name: _stored(file, other) for name, other in named.items()}
    wanted = sum(tensor.size_bytes for tensor in tensors.values())
    check_room(folder.parent, wanted, f"what {path.name} holds")
    config = config_of(sizes, tied="lm_head.weight" not in named)
    vocabulary = tokens_of_gguf(file)
    write_tokens(folder, vocabulary, path)
    config["dtype"] = _DTYPES[_matrices(tensors)]
    for name, place in (("bos", vocabulary.bos), ("eos", vocabulary.eos)):
        config[f"{name}_token_id"] = place if place >= 0 else None
    _write_json(folder / "config.json", config)
    write_safetensors(
        folder / "model.safetensors",
        tensors,
        lambda name: _rows(file, named[name], sizes),
        report,
    )


def _named(file: GgufFile, sizes: Sizes) -> dict[str, str]:
    """Each tensor's name there by its name here; all that there are, and no other."""
    names = {
        name: other for name, other in gguf_names(sizes.layers).items() if other in file.tensors
    }
    strange = file.tensors.keys() - set(names.values()) - {ROPE_FACTORS}
    if strange:
        raise UserError(
            f"{file.path} holds {printable(min(strange))}, which a plain llama does not have: take "
            "the model's own folder instead."
        )
    for name, other in names.items():
        if file.shape(other) != sizes.shape_of(name):
            raise UserError(f"{file.path}: {other} has not the shape that its metadata says.")
    missing = gguf_names(sizes.layers).keys() - names.keys() - {"lm_head.weight"}
    if missing:
        raise UserError(f"{file.path} is not complete: {min(missing)} is missing.")
    return names


def _stored(file: GgufFile, name: str) -> Stored:
    return Stored(_AS_STORED.get(file.tensors[name].tensor_type, "F32"), file.shape(name))


def _matrices(tensors: dict[str, Stored]) -> Dtype:
    """The number format that all matrices share; F32 if they share none."""
    kinds = {tensor.dtype for tensor in tensors.values() if len(tensor.shape) > 1}
    return kinds.pop() if len(kinds) == 1 else "F32"


def _rows(file: GgufFile, name: str, sizes: Sizes) -> Iterator[npt.NDArray[Any]]:
    heads = sizes.heads_of(name)
    order = rows_from_gguf(heads, file.shape(name)[0]) if heads else None
    is_as_stored = file.tensors[name].tensor_type in _AS_STORED
    return file.raw_rows(name, order) if is_as_stored else file.rows(name, order)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
