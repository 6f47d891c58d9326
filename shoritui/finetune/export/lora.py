"""A trained adapter: as a LoRA GGUF, which a chat puts on its base, or merged into the base."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from shoritui.errors import UserError
from shoritui.finetune.model.adapter import SavedAdapter
from shoritui.gguf.llama import FILE_TYPES, About, Llama
from shoritui.gguf.read import Floats
from shoritui.gguf.shape import EMBEDDING, HEAD, Shape, gguf_names, rows_for_gguf
from shoritui.gguf.write import Kind, Tensor, Value, tensor_of, write_gguf
from shoritui.text import printable

_NAME: Final = re.compile(r"base_model\.model\.(?P<linear>.+)\.lora_(?P<side>[AB])\.weight")


def write_lora(
    path: Path, saved: SavedAdapter, shape: Shape, about: About, kind: Kind = "F32"
) -> None:
    """Write the adapter of a base of this shape, its factors in F32 or F16.

    Raises:
        UserError: The adapter is for layers that such a base does not have.
        OSError: It cannot be written; an older one is untouched.
    """
    tensors = [
        tensor
        for linear, (down, up) in _pairs_of(saved).items()
        for tensor in _tensors(linear, down, up, shape, kind)
    ]
    metadata: dict[str, Value] = {
        "general.type": "adapter",
        "adapter.type": "lora",
        # llama.cpp multiplies with alpha / rank, whatever the adapter was trained with.
        "adapter.lora.alpha": float(saved.lora.scale * saved.lora.r),
        "general.file_type": FILE_TYPES[kind],
    }
    write_gguf(path, about.metadata | metadata, tensors)


def merged(base: Llama, saved: SavedAdapter) -> Llama:
    """Return the base as the adapter makes it, in fp32; one tensor is in memory at a time.

    An adapter of the output head unties it from the embeddings.

    Raises:
        UserError: The adapter is for layers that the base does not have, or of other sizes.
    """
    pairs = {f"{linear}.weight": pair for linear, pair in _pairs_of(saved).items()}
    is_untied = base.shape.is_tied and HEAD in pairs
    shape = replace(base.shape, is_tied=False) if is_untied else base.shape
    sizes = shape.tensors
    for name, (down, up) in pairs.items():
        if sizes.get(name) != (up.shape[0], down.shape[1]):
            raise UserError(
                f"The adapter is for {printable(name)}, which its base does not have, or not in "
                "this size."
            )

    def tensor(name: str) -> Floats:
        source = EMBEDDING if name == HEAD and is_untied else name
        weights = torch.from_numpy(base.tensor(source))
        if name in pairs:
            down, up = pairs[name]
            weights = weights + saved.lora.scale * (up @ down)
        floats: Floats = weights.numpy()
        return floats

    return replace(base, shape=shape, tensor=tensor)


def _pairs_of(saved: SavedAdapter) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return A and B of each linear layer, by its name such as `model.layers.0.self_attn.q_proj`.

    Raises:
        UserError: One of the two is missing, or they do not fit each other.
    """
    sides: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in saved.tensors.items():
        found = _NAME.fullmatch(name)
        if found is None:
            raise UserError(
                f"The adapter holds {printable(name)}, which is none of a linear layer."
            )
        sides.setdefault(found["linear"], {})[found["side"]] = tensor.float()
    rank = saved.lora.r
    for linear, pair in sides.items():
        shapes = {side: tuple(tensor.shape) for side, tensor in pair.items()}
        if shapes.keys() != {"A", "B"} or shapes["A"][:1] != (rank,) or shapes["B"][1:] != (rank,):
            raise UserError(f"The adapter's factors of {printable(linear)} are not of rank {rank}.")
    return {linear: (pair["A"], pair["B"]) for linear, pair in sides.items()}


def _tensors(
    linear: str, down: torch.Tensor, up: torch.Tensor, shape: Shape, kind: Kind
) -> list[Tensor]:
    name = f"{linear}.weight"
    if name == HEAD and shape.is_tied:
        raise UserError(
            "The adapter is for the output head, which in this base is the embeddings: such a one "
            "cannot be a LoRA GGUF; export a merged model."
        )
    other = gguf_names(shape).get(name)
    if other is None or len(shape.tensor_shape(name)) != 2:
        raise UserError(f"The adapter is for {printable(linear)}, which its base does not have.")
    if (up.shape[0], down.shape[1]) != shape.tensor_shape(name):
        raise UserError(
            f"The adapter's factors of {printable(linear)} are of another base's sizes."
        )
    if heads := shape.rotated_heads(name):
        up = up[torch.from_numpy(rows_for_gguf(heads, len(up)))]
    return [_tensor(f"{other}.lora_a", down, kind), _tensor(f"{other}.lora_b", up, kind)]


def _tensor(name: str, factor: torch.Tensor, kind: Kind) -> Tensor:
    values: Floats = factor.contiguous().numpy()
    return tensor_of(name, values.shape, kind, lambda: values)
