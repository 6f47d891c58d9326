"""Linear layers with an adapter: `W x + b + scale * B A dropout(x)`, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from shoritui.finetune.model.dropout import Kept
from shoritui.finetune.model.precision import Precision
from shoritui.finetune.model.weights import Frozen

_ALIGNMENT = 8
"""Ranks are filled up with zeros to a multiple: GPUs read sixteen bytes at a time."""


@dataclass(frozen=True, slots=True)
class Factors:
    """The trained part of one projection, in fp32."""

    a: nn.Parameter
    """(rank, inputs)."""
    b: nn.Parameter
    """(outputs, rank)."""

    @property
    def rank(self) -> int:
        """Of A and B."""
        return self.a.shape[0]

    @property
    def filling(self) -> int:
        """Zeros to add to the rank."""
        return -self.rank % _ALIGNMENT


@dataclass(frozen=True, slots=True)
class FusedProjections:
    """Projections that share one input and one dropout mask, such as q, k and v."""

    weights: tuple[Frozen, ...]
    biases: tuple[Tensor | None, ...]
    """Frozen; None for a projection that has none."""
    factors: tuple[Factors | None, ...]
    """None for a projection that is not adapted."""
    scale: float
    dropout: float

    @property
    def adapted(self) -> tuple[Factors, ...]:
        """The factors there are."""
        return tuple(factors for factors in self.factors if factors)

    @property
    def parameters(self) -> tuple[nn.Parameter, ...]:
        """A and B of each projection that is adapted."""
        return tuple(part for factors in self.adapted for part in (factors.a, factors.b))

    def dense(self, precision: Precision, drops: bool) -> DenseProjections:
        """Return them dense and ready to compute with; drop them soon, since they are large."""
        work = precision.work
        # 1 / (1 - rate) is in A, so that a mask is of ones and zeros.
        gain = 1.0 / (1.0 - self.dropout) if drops else 1.0
        down = [functional.pad(each.a * gain, (0, 0, 0, each.filling)) for each in self.adapted]
        up = [
            functional.pad(each.b * self.scale, (0, each.filling)).to(work) if each else None
            for each in self.factors
        ]
        return DenseProjections(
            projections=self,
            weights=[weight.dense(precision.stream).to(work) for weight in self.weights],
            biases=[bias if bias is None else bias.to(work) for bias in self.biases],
            a=torch.cat(down).to(work) if down else None,
            b=up,
            gain=gain,
        )


@dataclass(slots=True)
class DenseProjections:
    """The matrices of fused projections in the working type."""

    projections: FusedProjections
    weights: list[Tensor]
    biases: list[Tensor | None]
    a: Tensor | None
    """The A of all projections, one below the other."""
    b: list[Tensor | None]
    gain: float

    def low(self, seen: Tensor) -> Tensor | None:
        """What lies between A and B: (tokens, ranks of all projections)."""
        return None if self.a is None else seen @ self.a.t()

    def forward(
        self, x: Tensor, seen: Tensor, into: Sequence[Tensor] | None = None
    ) -> tuple[Sequence[Tensor], Tensor | None]:
        """Each projection of x, of which the adapter sees less, and what is between A and B.

        The projections are written into tensors of their sizes, if such are given.
        """
        low = self.low(seen)
        outputs, place = into or [x.new_empty(len(x), len(weight)) for weight in self.weights], 0
        for output, weight, bias, b in zip(outputs, self.weights, self.biases, self.b, strict=True):
            if bias is None:
                torch.mm(x, weight.t(), out=output)
            else:
                torch.addmm(bias, x, weight.t(), out=output)
            if b is not None and low is not None:
                output.addmm_(low[:, place : place + b.shape[1]], b.t())
                place += b.shape[1]
        return outputs, low

    def backward(
        self,
        seen: Tensor,
        kept: Kept | None,
        low: Tensor | None,
        grads: Sequence[Tensor],
        sums: FactorSums,
        wants_input: bool = True,
    ) -> Tensor | None:
        """The gradient of x, if it is wanted; the factors' gradients are added to their sums."""
        grad_low = self._low_backward(low, grads, sums)
        if grad_low is not None:
            sums.a += grad_low.t() @ seen
        if not wants_input:
            return None
        grad = grads[0] @ self.weights[0]
        for each, weight in zip(grads[1:], self.weights[1:], strict=True):
            grad.addmm_(each, weight)
        if grad_low is not None and self.a is not None:
            through = grad_low @ self.a
            grad += kept.of_(through) if kept else through
        return grad

    def _low_backward(
        self, low: Tensor | None, grads: Sequence[Tensor], sums: FactorSums
    ) -> Tensor | None:
        if low is None:
            return None
        parts: list[Tensor] = []
        place = 0
        for grad, b in zip(grads, self.b, strict=True):
            if b is not None:
                sums.b[len(parts)] += grad.t() @ low[:, place : place + b.shape[1]]
                place += b.shape[1]
                parts.append(grad @ b)
        return torch.cat(parts, 1)

    def sums(self) -> FactorSums:
        """Zeros to add the factors' gradients to."""
        device = self.weights[0].device
        adapted = self.projections.adapted
        inputs = self.weights[0].shape[1]
        ranks = [each.rank + each.filling for each in adapted]
        return FactorSums(
            factors=adapted,
            a=torch.zeros(sum(ranks), inputs, device=device),
            b=[
                torch.zeros(len(each.b), rank, device=device)
                for each, rank in zip(adapted, ranks, strict=True)
            ],
            gain=self.gain,
            scale=self.projections.scale,
        )


@dataclass(slots=True)
class FactorSums:
    """The gradients of fused projections' factors, summed over token chunks in fp32."""

    factors: tuple[Factors, ...]
    a: Tensor
    b: list[Tensor]
    gain: float
    scale: float

    def gradients(self) -> list[Tensor]:
        """Return them in the order of `FusedProjections.parameters`."""
        self.a.mul_(self.gain)
        grads, place = [], 0
        for each, b in zip(self.factors, self.b, strict=True):
            grads.append(self.a[place : place + each.rank])
            grads.append(b[:, : each.rank] * self.scale)
            place += b.shape[1]
        return grads
