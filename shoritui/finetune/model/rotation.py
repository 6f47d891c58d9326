"""Rotary positions: the angle of every token, by transformers' rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from shoritui.gguf.shape import Shape


@dataclass(frozen=True, slots=True)
class Rotation:
    """The angle of every token, for half of a head's numbers."""

    cosine: Tensor
    """(tokens, 1, head_size / 2), fp32."""
    sine: Tensor

    def turned(self, heads: Tensor, span: slice) -> Tensor:
        """(tokens of the span, heads, head_size), turned by their positions."""
        return _turned(heads, self.cosine[span], self.sine[span])

    def turned_back(self, heads: Tensor, span: slice) -> Tensor:
        """The same, turned the other way: the gradient of what was turned."""
        return _turned(heads, self.cosine[span], -self.sine[span])


def rotations_of(
    starts: Sequence[int], shape: Shape, device: torch.device, first: int = 0
) -> tuple[Rotation, Rotation]:
    """The angles of documents laid end to end, whose first token is at place `first` of each.

    Of queries and of keys, which are the same unless queries grow with their place.
    """
    lengths = [end - start for start, end in pairwise(starts)]
    positions = torch.cat([torch.arange(first, first + length) for length in lengths])
    speeds, strength = _speeds(shape)
    angles = positions.to(device).float()[:, None] * speeds.to(device)
    cosine, sine = angles.cos()[:, None], angles.sin()[:, None]
    if strength != 1:
        cosine, sine = cosine * strength, sine * strength
    keys = Rotation(cosine, sine)
    scaling = shape.rope_scaling
    if scaling is None or scaling.query_growth == 0:
        return keys, keys
    rounds = (positions.to(device) / scaling.original_context).floor()[:, None, None]
    growth = 1 + scaling.query_growth * rounds.log1p()
    return Rotation(cosine * growth, sine * growth), keys


@cache
def _speeds(shape: Shape) -> tuple[Tensor, float]:
    """What each pair of numbers turns by from place to place, and by how much a head grows.

    As transformers has it, so that the angles are the same to the last bit.
    """
    if shape.rope_scaling is None or shape.rope_scaling.kind == "dynamic":
        steps = torch.arange(0, shape.head_size, 2, dtype=torch.int64).float() / shape.head_size
        return 1.0 / shape.rope_theta**steps, 1.0
    rules: Any = import_module("transformers.modeling_rope_utils")
    transformers: Any = import_module("transformers")
    settings = shape.rope_scaling.settings
    config = transformers.LlamaConfig(
        hidden_size=shape.head_size,
        num_attention_heads=1,
        head_dim=shape.head_size,
        max_position_embeddings=shape.context,
        rope_parameters={"rope_theta": shape.rope_theta, **settings},
    )
    speeds, strength = rules.ROPE_INIT_FUNCTIONS[settings["rope_type"]](config)
    return speeds, float(strength)


def _turned(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = heads.float().chunk(2, -1)
    turned = torch.empty(heads.shape, dtype=torch.float32, device=heads.device)
    left, right = turned.chunk(2, -1)
    torch.mul(first, cosine, out=left).addcmul_(second, sine, value=-1)
    torch.mul(second, cosine, out=right).addcmul_(first, sine)
    return turned.to(heads.dtype)
