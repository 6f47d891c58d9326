"""A llama out of a Hugging Face folder, and into a GGUF file that llama.cpp runs.

K-quants are made by llama.cpp out of such a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from shoritui.errors import UserError
from shoritui.gguf.checkpoint import Checkpoint
from shoritui.gguf.header import BLOCKS
from shoritui.gguf.read import Floats
from shoritui.gguf.shape import (
    ARCHITECTURE,
    ROPE_FACTORS,
    Shape,
    check_for_gguf,
    gguf_metadata,
    gguf_names,
    read_config,
    rope_factors,
    rows_for_gguf,
    shape_of_config,
)
from shoritui.gguf.vocabulary import Vocabulary, gguf_vocabulary, vocabulary_of_folder
from shoritui.gguf.write import (
    KIND_IDS,
    ByteProgress,
    Kind,
    Number,
    Tensor,
    Value,
    tensor_of,
    write_gguf,
)
from shoritui.text import printable

Format = Literal["f32", "f16", "bf16", "q8_0"]

_KINDS: Final[Mapping[Format, Kind]] = {"f32": "F32", "f16": "F16", "bf16": "BF16", "q8_0": "Q8_0"}
FILE_TYPES: Final[Mapping[Kind, int]] = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7, "BF16": 32}
"""llama.cpp's `LLAMA_FTYPE_*` of a file whose matrices are of this type."""


@dataclass(frozen=True, slots=True)
class Llama:
    """A whole model, whose weights come when they are asked for."""

    shape: Shape
    tokens: Vocabulary | None
    """None where nothing but its numbers is wanted, and GGUF cannot hold its vocabulary."""
    tensor: Callable[[str], Floats]
    """The weights of a name in `shape.tensors`, in Hugging Face's order of rows."""


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
            "general.architecture": ARCHITECTURE,
            "general.name": printable(self.name),
            "general.license": self.license,
            "general.description": printable(self.description),
            **self.figures,
        }


def llama_of_folder(folder: Path, *, needs_tokens: bool = True) -> Llama:
    """Return the model of a folder, as it can be written to a GGUF.

    `UserError` if it is no Llama or Mistral that GGUF can hold, or is quantised or not complete.
    """
    config, where = read_config(folder), str(folder / "config.json")
    if config.get("quantization_config"):
        raise UserError(f"{where}: its weights are quantised: export from the base that is not.")
    check_for_gguf(config, where)
    shape = shape_of_config(config, where)
    tokens: Vocabulary | None = None
    try:
        tokens = vocabulary_of_folder(folder, config)
    except UserError:
        if needs_tokens:
            raise
    checkpoint = Checkpoint(folder)
    checkpoint.check(shape)
    return Llama(shape, tokens, checkpoint.floats)


def write_model(
    path: Path, model: Llama, form: Format, about: About, report: ByteProgress | None = None
) -> None:
    """Write the file: matrices in the wanted format, the rest in F32."""
    kind = _KINDS[form]
    metadata = model_metadata(model.shape, model.tokens, kind, about)
    write_gguf(path, metadata, _tensors(model, kind), report)


def model_metadata(
    shape: Shape, tokens: Vocabulary | None, kind: Kind, about: About
) -> dict[str, Value]:
    """Return what the file of a whole model states."""
    return {
        **about.metadata,
        "general.file_type": FILE_TYPES[kind],
        **gguf_metadata(shape),
        **gguf_vocabulary(tokens),
    }


def model_bytes(model: Llama, form: Format) -> int:
    """Return how much the tensors of such a file take."""
    return sum(tensor.size_bytes for tensor in _tensors(model, _KINDS[form]))


def _tensors(model: Llama, kind: Kind) -> list[Tensor]:
    tensors = [_tensor(model, name, other, kind) for name, other in gguf_names(model.shape).items()]
    factors = rope_factors(model.shape)
    if factors is not None:
        tensors.append(tensor_of(ROPE_FACTORS, factors.shape, "F32", lambda: factors))
    return tensors


def _tensor(model: Llama, name: str, other: str, kind: Kind) -> Tensor:
    shape, heads = model.shape.tensor_shape(name), model.shape.rotated_heads(name)

    def values() -> Floats:
        tensor = model.tensor(name)
        return tensor[rows_for_gguf(heads, len(tensor))] if heads else tensor

    return tensor_of(other, shape, kind_for(shape, kind), values)


def kind_for(shape: tuple[int, ...], kind: Kind) -> Kind:
    """Return how a tensor is stored: what has no whole blocks, in the next better way."""
    if len(shape) == 1:
        return "F32"
    return "F16" if shape[-1] % BLOCKS[KIND_IDS[kind]][0] else kind
