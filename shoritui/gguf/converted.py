"""A model of a Hugging Face folder, of any architecture of the table, as a GGUF holds it.

model.layers.0.self_attn.q_proj.weight ─ name, order of rows ─▶ blk.0.attn_q.weight
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from shoritui.errors import UserError
from shoritui.gguf.architectures import (
    KINDS,
    Architecture,
    Config,
    architecture_of,
    hyperparameters,
    rope_tensors,
)
from shoritui.gguf.checkpoint import Checkpoint
from shoritui.gguf.lora.layout import Base, Layout
from shoritui.gguf.model import EMBEDDING, HEAD, Model
from shoritui.gguf.read import Floats
from shoritui.gguf.vocabulary import Vocabulary, gguf_vocabulary, vocabulary_of_folder
from shoritui.gguf.write import Value
from shoritui.text import printable

if TYPE_CHECKING:
    from shoritui.gguf.shape import Rows

Sizes = Mapping[str, tuple[int, ...]]

_MADE_ANEW: Final = (
    *(".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias"),
    *(".attention.bias", ".attention.masked_bias"),
)
"""Old folders hold what follows from the config."""
_READS: Final = re.compile(r"(?:^|\.)(?:language_model|lm_head)\.")
"""The part of a model that also sees or hears."""
_LOGARITHM: Final = ".A_log"
_CONVOLUTION: Final = ".ssm_conv1d.weight"
_LINEAR: Final = ("ssm.group_count", "ssm.time_step_rank", "ssm.state_size")
_OF_A_HEAD: Final = re.compile(r"\.norms\.\d+$")
"""A norm of each head; in a GGUF they are one tensor, as those of experts are."""


def model_of_folder(folder: Path, config: Config, *, needs_tokens: bool = True) -> Model:
    """Return the model of a folder, as it can be written to a GGUF.

    Of one that also sees or hears, it is the part that reads and writes. `config` is what its
    config.json says, or more of it. Without `needs_tokens`, one that has no
    vocabulary that GGUF can hold is returned without it.

    Raises:
        UserError: It is of an architecture that is not known here, or quantised, or not complete.
    """
    where = str(folder / "config.json")
    config, is_part = _reading(config)
    if config.get("quantization_config"):
        raise UserError(f"{where}: its weights are quantised: export from the base that is not.")
    checkpoint = Checkpoint(folder)
    sizes = checkpoint.shapes
    if is_part:
        sizes = {name: size for name, size in sizes.items() if _READS.search(name)}
    model = converted(config, None, sizes, checkpoint.floats, where)
    try:
        tokens = gguf_vocabulary(vocabulary_of_folder(folder, config))
    except UserError:
        if needs_tokens:
            raise
        return model
    return replace(model, metadata={**model.metadata, **tokens}, has_vocabulary=True)


def _reading(config: Config) -> tuple[Config, bool]:
    """Return the config of what reads text, and whether it is a part of the model only."""
    part = config.get("text_config")
    is_known = str(config.get("model_type")) in KINDS
    if is_known or not isinstance(part, Mapping):
        return config, False
    shared = ("tie_word_embeddings", "quantization_config")
    return {**part, **{key: config[key] for key in shared if key in config}}, True


def converted(
    config: Config,
    tokens: Vocabulary | None,
    sizes: Sizes,
    floats: Callable[[str], Floats],
    where: str,
) -> Model:
    """Return the model that a config.json states, whose tensors have Hugging Face's names.

    `UserError` names `where` if no GGUF can hold it, or a tensor is missing or one too many.
    """
    architecture = architecture_of(config, where)
    metadata = hyperparameters(config, architecture, where)
    tensors = Tensors(config, architecture, metadata, sizes, floats, where)
    metadata |= gguf_vocabulary(tokens)
    return Model(metadata, tensors.base, tensors.floats, tokens is not None)


@dataclass(frozen=True, slots=True)
class Order:
    """For each row and column of a GGUF's tensor the folder's; None for all as they are."""

    rows: Rows | None = None
    columns: Rows | None = None


class Tensors:
    """A model's tensors by GGUF's names: `base` has their sizes, `parts` the folder's that make
    each, with the order of their rows."""

    def __init__(
        self,
        config: Config,
        architecture: Architecture,
        metadata: Mapping[str, Value],
        sizes: Sizes,
        floats: Callable[[str], Floats],
        where: str,
    ) -> None:
        self.architecture, self._where = architecture, where
        self._sizes, self._floats = sizes, floats
        self._factors = rope_tensors(config)
        name, layers = architecture.name, _whole(metadata, architecture, "block_count")
        heads = _whole(metadata, architecture, "attention.head_count")
        of_keys = _whole(metadata, architecture, "attention.head_count_kv")
        counts = (heads,) * layers, (of_keys,) * layers
        linear = [_whole(metadata, architecture, key, 0) for key in _LINEAR]
        base = Base(name, layers, *counts, {}, (linear[0], linear[1]), linear[2])
        self.parts = self._named(Layout(base), bool(config.get("tie_word_embeddings")))
        self._check_layers(_kinds_of_layers(config, layers))
        whole = {each: self._size(each) for each in self.parts}
        whole |= {each: array.shape for each, array in self._factors.items()}
        self.base = replace(base, tensors=whole)

    def floats(self, name: str) -> Floats:
        """Return a tensor as the GGUF has it."""
        if name in self._factors:
            return self._factors[name]
        parts = [self._part(name, part, order) for part, order in self.parts[name]]
        whole = parts[0] if len(parts) == 1 else np.stack(parts)
        return whole.reshape(self.base.tensors[name])

    def _part(self, name: str, part: str, order: Order) -> Floats:
        values = self._floats(part)
        if self.is_transposed(name):
            values = values.T
        if order.rows is not None:
            values = values[order.rows]
        if order.columns is not None:
            values = values[:, order.columns]
        if part.endswith(_LOGARITHM):
            values = -np.exp(values)
        ends = self.architecture.adds_one
        return values + np.float32(1) if ends and part.endswith(ends) else values

    def _named(self, layout: Layout, is_tied: bool) -> dict[str, list[tuple[str, Order]]]:
        """Return which of the folder's tensors make each of the GGUF's, and in which order."""
        parts: dict[str, list[tuple[str, Order]]] = {}
        for name in sorted(self._sizes, key=_in_order):
            module, kind = _module(name)
            if name.endswith(_MADE_ANEW) or (is_tied and layout.name(module) == "output"):
                continue
            if layout.name(module) is None:
                raise UserError(
                    f"{self._where}: the weights have {printable(name)}, for which "
                    f"a {self.architecture.name} of this config.json has no place."
                )
            for part in layout.parts(module, self._sizes[name] or (0,)):
                found = f"{part.name.removesuffix('.weight')}{kind}"
                parts.setdefault(found, []).append((name, Order(part.rows, part.columns)))
        if EMBEDDING not in parts:
            raise UserError(f"{self._where} is not complete: the weights have no embeddings.")
        if self.architecture.needs_head:
            parts.setdefault(HEAD, parts[EMBEDDING])
        return parts

    def _check_layers(self, kinds: Sequence[str]) -> None:
        """`UserError` unless every layer has what any of its kind has, and as many parts of it."""
        counts: dict[tuple[str, str], dict[int, int]] = {}
        for name, parts in self.parts.items():
            if name.startswith("blk."):
                _, index, rest = name.split(".", 2)
                counts.setdefault((kinds[int(index)], rest), {})[int(index)] = len(parts)
        for (kind, rest), by_layer in counts.items():
            most = max(by_layer.values())
            for layer, of_kind in enumerate(kinds):
                if of_kind == kind and by_layer.get(layer, 0) != most:
                    found = next(at for at, count in by_layer.items() if count == most)
                    like, _ = self.parts[f"blk.{found}.{rest}"][-1]
                    missing = re.sub(r"(?<=\.)\d+(?=\.)", str(layer), like, count=1)
                    raise UserError(
                        f"{self._where} is not complete: the weights have no {printable(missing)}."
                    )

    def _size(self, name: str) -> tuple[int, ...]:
        parts = [part for part, _ in self.parts[name]]
        shape = self._sizes[parts[0]]
        if any(self._sizes[part] != shape for part in parts):
            raise UserError(
                f"{self._where}: {printable(parts[0])} and its like are not of one size."
            )
        if self.is_transposed(name):
            shape = shape[::-1]
        if name.endswith(_CONVOLUTION):
            shape = (shape[0], shape[-1])
        return shape if len(parts) == 1 else (len(parts), *shape)

    def is_transposed(self, name: str) -> bool:
        """Return whether a tensor stands in the folder with a column for each output."""
        is_matrix = name.startswith("blk.") and name.endswith(".weight") and "_norm." not in name
        return self.architecture.transposes and is_matrix


def _module(name: str) -> tuple[str, str]:
    """Return the module of a tensor, and what follows its name in a GGUF; some have names alone."""
    if name.endswith(".dt_bias"):
        return f"{name.removesuffix('.dt_bias')}.dt_proj", ".bias"
    module, _, kind = name.rpartition(".")
    if kind not in ("weight", "bias"):
        return name, ""
    return _OF_A_HEAD.sub("", module), f".{kind}"


def _kinds_of_layers(config: Config, layers: int) -> list[str]:
    """Return the kind of each layer, if there are some with other tensors than others."""
    kinds = config.get("layer_types") or ()
    return list(kinds) if "linear_attention" in kinds else [""] * layers


def _whole(
    metadata: Mapping[str, Value], architecture: Architecture, key: str, default: int = -1
) -> int:
    value = metadata.get(f"{architecture.name}.{key}", default)
    assert isinstance(value, int) and value >= 0
    return value


def _in_order(name: str) -> list[tuple[int, str]]:
    """Sort numbers in a name as numbers."""
    return [(len(part) if part.isdecimal() else 0, part) for part in name.split(".")]
