"""A trained adapter merged into its base, and what a LoRA GGUF needs to know of the base."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

import torch

from shoritui.errors import UserError
from shoritui.finetune.model.adapter import SavedAdapter
from shoritui.gguf.llama import Llama
from shoritui.gguf.lora.layout import Base
from shoritui.gguf.read import Floats
from shoritui.gguf.shape import ARCHITECTURE, EMBEDDING, HEAD, Shape, gguf_names
from shoritui.text import printable

_NAME: Final = re.compile(r"base_model\.model\.(?P<linear>.+)\.lora_(?P<side>[AB])\.weight")


def base_of(shape: Shape) -> Base:
    """Return what a LoRA GGUF for such a base needs to know of it."""
    sizes = {other: shape.tensor_shape(name) for name, other in gguf_names(shape).items()}
    heads, kv_heads = (shape.heads,) * shape.layers, (shape.kv_heads,) * shape.layers
    return Base(ARCHITECTURE, shape.layers, heads, kv_heads, sizes)


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
