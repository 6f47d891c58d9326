"""Rotary positions, counted from each document's start.

It does not know attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from shoritui.finetune.model.shape import Shape


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


def rotation_of(
    starts: Sequence[int], shape: Shape, device: torch.device, first: int = 0
) -> Rotation:
    """The angles of documents laid end to end, whose first token is at place `first` of each."""
    lengths = [end - start for start, end in pairwise(starts)]
    positions = torch.cat([torch.arange(first, first + length) for length in lengths])
    # As transformers has it, so that the angles are the same to the last bit.
    steps = torch.arange(0, shape.head_size, 2, dtype=torch.int64).float() / shape.head_size
    angles = positions.to(device).float()[:, None] * (1.0 / shape.rope_theta**steps).to(device)
    return Rotation(angles.cos()[:, None], angles.sin()[:, None])


def _turned(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = heads.float().chunk(2, -1)
    turned = torch.empty(heads.shape, dtype=torch.float32, device=heads.device)
    left, right = turned.chunk(2, -1)
    torch.mul(first, cosine, out=left).addcmul_(second, sine, value=-1)
    torch.mul(second, cosine, out=right).addcmul_(first, sine)
    return turned.to(heads.dtype)
