"""A whole model as a GGUF holds it, its weights read when they are asked for; and its file.

    folder ─ converted ───▶ Model ─ write_model ──▶ file.gguf
    file.gguf ─ read ─────▶       (F32, F16, BF16 or Q8_0)

K-quants are made by llama.cpp out of such a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from shoritui.gguf.lora.layout import Base, base_of_gguf
from shoritui.gguf.read import Floats, GgufFile
from shoritui.gguf.write import (
    FILE_TYPES,
    About,
    ByteProgress,
    Kind,
    Tensor,
    Value,
    kind_for,
    tensor_of,
    write_gguf,
)

Format = Literal["f32", "f16", "bf16", "q8_0"]

EMBEDDING: Final = "token_embd.weight"
HEAD: Final = "output.weight"
_KINDS: Final[Mapping[Format, Kind]] = {"f32": "F32", "f16": "F16", "bf16": "BF16", "q8_0": "Q8_0"}
_EXACT: Final = (
    *("_norm.weight", "position_embd.weight"),
    *("ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight", "ssm_conv1d.weight"),
)
"""Matrices that are small, and kept in F32: norms of heads, routers, positions."""


@dataclass(frozen=True, slots=True)
class Model:
    """A whole model, whose weights come when they are asked for."""

    metadata: Mapping[str, Value]
    """All that its file states of its numbers and its vocabulary."""
    base: Base
    """The sizes of its tensors, in a file's order, and what an adapter must know."""
    floats: Callable[[str], Floats]
    """The weights of one of them."""
    has_vocabulary: bool = True
    """Whether texts can be cut into its tokens."""

    @property
    def is_tied(self) -> bool:
        """Whether the output head is the embedding."""
        return HEAD not in self.base.tensors


def model_of_gguf(path: Path) -> Model:
    """Return the model of a GGUF, whatever its architecture; `UserError` if it is damaged."""
    file = GgufFile(path)

    def floats(name: str) -> Floats:
        rows, shape = list(file.rows(name)), file.shape(name)
        return np.concatenate(rows).reshape(shape) if rows else np.empty(shape, np.float32)

    return Model(file.verbatim(""), base_of_gguf(file), floats)


def write_model(
    path: Path, model: Model, form: Format, about: About, report: ByteProgress | None = None
) -> None:
    """Write the file: matrices in the wanted format, the rest in F32.

    Raises:
        UserError: A tensor cannot be read.
        OSError: It cannot be written; an older one is untouched.
    """
    kind = _KINDS[form]
    said = {key: value for key, value in about.metadata.items() if value != ""}
    metadata = {**model.metadata, **said, "general.file_type": FILE_TYPES[kind]}
    write_gguf(path, metadata, _tensors(model, kind), report)


def model_bytes(model: Model, form: Format) -> int:
    """Return how much the tensors of such a file take."""
    return sum(tensor.size_bytes for tensor in _tensors(model, _KINDS[form]))


def _tensors(model: Model, kind: Kind) -> list[Tensor]:
    return [_tensor(model, name, kind) for name in model.base.tensors]


def _tensor(model: Model, name: str, kind: Kind) -> Tensor:
    size = model.base.tensors[name]
    kind = "F32" if name.endswith(_EXACT) else kind_for(size, kind)
    return tensor_of(name, size, kind, lambda: model.floats(name))
