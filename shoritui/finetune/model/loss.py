"""The last norm, the output head and the cross-entropy of learnt tokens, a chunk at a time.

Gradients are made on the way there, so logits never exist for more than a chunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shoritui.finetune.data.sample import Pack
from shoritui.finetune.model.norm import normalised, normalised_backward
from shoritui.finetune.model.tuning import Precision


@dataclass(frozen=True, slots=True)
class Targets:
    """Which tokens predict, and what."""

    rows: Tensor
    """(learnt,): places of the tokens before those that are learnt."""
    ids: Tensor
    """(learnt,): the learnt tokens."""
    bounds: tuple[int, ...]
    """Where each document's part begins in both, and their length."""


def targets_of(pack: Pack, device: torch.device) -> Targets:
    """What is learnt of a pack."""
    places = np.flatnonzero(pack.learn)
    return Targets(
        rows=torch.from_numpy(places - 1).to(device),
        ids=torch.from_numpy(pack.ids[places].astype(np.int64)).to(device),
        bounds=tuple(int(place) for place in np.searchsorted(places, pack.starts)),
    )


@dataclass(frozen=True, slots=True)
class Head:
    """The frozen end of a network."""

    norm: Tensor
    epsilon: float
    weight: Tensor
    chunk: int
    """Tokens whose logits exist at a time."""

    def logits(self, x: Tensor, precision: Precision) -> Tensor:
        """(tokens, vocabulary), fp32."""
        n, _ = normalised(x.to(precision.work), self.norm, self.epsilon)
        return (n @ self.weight.to(precision.work).t()).float()

    def losses(
        self, x: Tensor, targets: Targets, precision: Precision, grad: Tensor | None
    ) -> Tensor:
        """(learnt,), fp32, in nats; the gradient of their sum is written into `grad`, if given."""
        weight = self.weight.to(precision.work)
        losses = torch.empty(len(targets.ids), device=x.device)
        for start in range(0, len(targets.ids), self.chunk):
            span = slice(start, start + self.chunk)
            rows, ids = targets.rows[span], targets.ids[span][:, None]
            part = x[rows].to(precision.work)
            n, inverse = normalised(part, self.norm, self.epsilon)
            logits = (n @ weight.t()).float()
            logits -= logits.amax(-1, keepdim=True)
            wanted = logits.gather(1, ids)
            total = logits.exp_().sum(-1, keepdim=True)
            losses[span] = (total.log() - wanted)[:, 0]
            if grad is not None:
                logits /= total
                logits.scatter_add_(1, ids, torch.full_like(wanted, -1.0))
                below = logits.to(precision.work) @ weight
                below = normalised_backward(below, part, self.norm, inverse)
                grad[rows] = below.to(grad.dtype)
        return losses


def summed(losses: Tensor, targets: Targets) -> Tensor:
    """(documents,): each document's losses, added up."""
    return torch.stack([losses[a:b].sum() for a, b in pairwise(targets.bounds)])


class LossSum(torch.autograd.Function):
    """x to the sum over documents, and the sum of each."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, head: Head, targets: Targets, precision: Precision
    ) -> tuple[Tensor, Tensor]:
        """(), and (documents,) without gradient."""
        grad = torch.zeros_like(x)
        by_document = summed(head.losses(x, targets, precision, grad), targets)
        ctx.save_for_backward(grad)
        ctx.mark_non_differentiable(by_document)
        return by_document.sum(), by_document

    @staticmethod
    def backward(ctx: Any, above: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """That of x."""
        (grad,) = ctx.saved_tensors
        return grad * above, None, None, None
