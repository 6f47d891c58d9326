"""The half of a layer behind attention: x + down(silu(gate(n)) * up(n)), n = norm(x).

It keeps nothing but x; what lies between is made again on the way back, one token chunk at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from shoritui.finetune.model.dropout import seen
from shoritui.finetune.model.micro import MicroStep
from shoritui.finetune.model.norm import normalised, normalised_backward
from shoritui.finetune.model.projection import Fan

GATE_UP_SITE = 2
DOWN_SITE = 3


class Mlp:
    """The frozen weights and the factors of one layer's MLP."""

    def __init__(self, layer: int, norm: Tensor, epsilon: float, gate_up: Fan, down: Fan) -> None:
        self.layer = layer
        self.norm = norm
        self.epsilon = epsilon
        self.gate_up = gate_up
        self.down = down

    def forward(self, x: Tensor, micro: MicroStep) -> Tensor:
        """(tokens, hidden), what is added included."""
        gate_up, down = (micro.opened(fan) for fan in (self.gate_up, self.down))
        n_mask = micro.mask(self.layer, GATE_UP_SITE, self.gate_up)
        h_mask = micro.mask(self.layer, DOWN_SITE, self.down)
        y = torch.empty_like(x)
        for span in micro.spans():
            part = x[span].to(micro.precision.work)
            n, _ = normalised(part, self.norm, self.epsilon)
            (gate, up), _ = gate_up.forward(n, seen(n, n_mask.kept(span) if n_mask else None))
            h = functional.silu(gate, inplace=True).mul_(up)
            (out,), _ = down.forward(h, seen(h, h_mask.kept(span) if h_mask else None))
            y[span] = out.add_(part)
        return y

    def backward(self, grad: Tensor, x: Tensor, micro: MicroStep) -> list[Tensor]:
        """The factors' gradients; `grad` becomes the gradient of x in place."""
        gate_up, down = (micro.opened(fan) for fan in (self.gate_up, self.down))
        n_mask = micro.mask(self.layer, GATE_UP_SITE, self.gate_up)
        h_mask = micro.mask(self.layer, DOWN_SITE, self.down)
        gate_up_sums, down_sums = gate_up.sums(), down.sums()
        for span in micro.spans():
            part, above = x[span].to(micro.precision.work), grad[span].to(micro.precision.work)
            n, inverse = normalised(part, self.norm, self.epsilon)
            n_kept = n_mask.kept(span) if n_mask else None
            n_seen = seen(n, n_kept)
            (gate, up), n_low = gate_up.forward(n, n_seen)
            silu = functional.silu(gate)
            h_kept = h_mask.kept(span) if h_mask else None
            h_seen = seen(silu * up, h_kept)
            grad_h = down.backward(h_seen, h_kept, down.low(h_seen), [above], down_sums)
            del n, h_seen, h_kept
            assert grad_h is not None
            grad_up = grad_h * silu
            grad_gate = torch.ops.aten.silu_backward(grad_h.mul_(up), gate)
            del silu, gate, up, grad_h
            grad_n = gate_up.backward(n_seen, n_kept, n_low, [grad_gate, grad_up], gate_up_sums)
            assert grad_n is not None
            above += normalised_backward(grad_n, part, self.norm, inverse)
            grad[span] = above
        return gate_up_sums.gradients() + down_sums.gradients()
