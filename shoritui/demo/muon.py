"""Muon: steps for matrices along the nearest orthogonal matrix of their momentum.

It knows nothing of the network; vectors and embeddings are another optimiser's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Muon(torch.optim.Optimizer):
    """Keller Jordan's Muon in 32 bits; matrices of one shape are made orthogonal together."""

    def __init__(
        self, matrices: Iterable[Any], lr: float, momentum: float = 0.95, decay: float = 0.1
    ) -> None:
        super().__init__(list(matrices), {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step along every matrix's gradient."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                high, wide = matrix.shape
                by_shape[min(high, wide), max(high, wide)].append(matrix)
            for matrices in by_shape.values():
                torch._foreach_mul_(matrices, 1 - group["lr"] * group["decay"])
                self._step_together(matrices, group["lr"], group["momentum"])

    def _step_together(self, matrices: list[Tensor], rate: float, momentum: float) -> None:
        directions = []
        for matrix in matrices:
            assert matrix.grad is not None
            state = self.state[matrix]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(matrix)
            state["momentum"].lerp_(matrix.grad, 1 - momentum)
            ahead = matrix.grad.lerp(state["momentum"], momentum)
            directions.append(ahead if ahead.shape[0] <= ahead.shape[1] else ahead.T)
        straight = _together(torch.stack(directions))
        for matrix, direction in zip(matrices, straight, strict=True):
            tall = matrix.shape[0] > matrix.shape[1]
            scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
            matrix.add_(direction.T if tall else direction, alpha=-rate * scale)


def _together(x: Tensor) -> Tensor:
    """`orthogonal`, each process of the group doing its part of the stack."""
    if not dist.is_initialized():
        return orthogonal(x)
    whole = torch.zeros_like(x)
    mine = torch.arange(len(x)).tensor_split(dist.get_world_size())[dist.get_rank()]
    whole[mine] = orthogonal(x[mine])
    dist.all_reduce(whole)
    return whole


def orthogonal(x: Tensor, steps: int = 5) -> Tensor:
    """Nearly the orthogonal matrices nearest to a stack of wide ones (Newton-Schulz)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x
