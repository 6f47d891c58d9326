"""Root-mean-square normalisation, there and back, in fp32 inside.

It does not know where it stands.
"""

from __future__ import annotations

import torch
from torch import Tensor


def normalised(x: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """x over its root mean square, times the weight; and the inverse of that root, in fp32."""
    wide = x.float()
    inverse = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)
    return (wide * inverse).to(x.dtype) * weight.to(x.dtype), inverse


def normalised_backward(grad: Tensor, x: Tensor, weight: Tensor, inverse: Tensor) -> Tensor:
    """The gradient of x."""
    scaled = (grad * weight.to(grad.dtype)).float()
    wide = x.float()
    along = (scaled * wide).mean(-1, keepdim=True).mul_(inverse * inverse)
    return scaled.sub_(wide * along).mul_(inverse).to(grad.dtype)
