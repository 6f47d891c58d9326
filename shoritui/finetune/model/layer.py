"""One decoder layer, there and back, on any rung: what is not kept is made again.

It does not know the other layers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from shoritui.finetune.model.attention import Attended, attend, attend_backward
from shoritui.finetune.model.dropout import seen
from shoritui.finetune.model.interface import Rung
from shoritui.finetune.model.micro import MicroStep
from shoritui.finetune.model.mlp import Mlp
from shoritui.finetune.model.norm import normalised, normalised_backward
from shoritui.finetune.model.projection import Fan
from shoritui.finetune.model.shape import Shape

QKV_SITE = 0
O_SITE = 1


class Attention:
    """The half of a layer in which tokens meet: x + o(attend(qkv(norm(x))))."""

    def __init__(self, layer: int, norm: Tensor, shape: Shape, qkv: Fan, o: Fan) -> None:
        self.layer = layer
        self.norm = norm
        self.shape = shape
        self.qkv = qkv
        self.o = o

    def projected(self, x: Tensor, micro: MicroStep) -> tuple[Tensor, Tensor, Tensor]:
        """q, k and v of every token, (tokens, heads, head_size) each, turned by position."""
        shape, work, tokens = self.shape, micro.precision.work, micro.tokens
        q, k, v = (
            torch.empty(tokens, heads, shape.head_size, dtype=work, device=micro.device)
            for heads in (shape.heads, shape.kv_heads, shape.kv_heads)
        )
        fan = micro.opened(self.qkv)
        mask = micro.mask(self.layer, QKV_SITE, self.qkv)
        for span in micro.spans():
            n, _ = normalised(x[span].to(work), self.norm, shape.norm_epsilon)
            outputs, _ = fan.forward(n, seen(n, mask.kept(span) if mask else None))
            heads = [output.view(len(output), -1, shape.head_size) for output in outputs]
            q[span] = micro.rotation.turned(heads[0], span)
            k[span] = micro.rotation.turned(heads[1], span)
            v[span] = heads[2]
        return q, k, v

    def attended(self, q: Tensor, k: Tensor, v: Tensor, micro: MicroStep) -> Attended:
        """What attention gives, in the stream's type: whether it is kept changes nothing."""
        result = attend(q, k, v, micro.starts)
        return Attended(result.output.to(micro.precision.stream), result.sums)

    def joined(self, x: Tensor, attended: Attended, micro: MicroStep) -> Tensor:
        """x and what attention adds to it."""
        work = micro.precision.work
        fan = micro.opened(self.o)
        mask = micro.mask(self.layer, O_SITE, self.o)
        y = torch.empty_like(x)
        for span in micro.spans():
            output = attended.output[span].flatten(1).to(work)
            (out,), _ = fan.forward(output, seen(output, mask.kept(span) if mask else None))
            y[span] = out.add_(x[span])
        return y

    def joined_backward(
        self, grad: Tensor, attended: Attended, micro: MicroStep
    ) -> tuple[Tensor, list[Tensor]]:
        """The gradient of what attention gave, in the working type, and o's factors' gradients."""
        work = micro.precision.work
        fan = micro.opened(self.o)
        mask = micro.mask(self.layer, O_SITE, self.o)
        sums = fan.sums()
        below = torch.empty(attended.output.shape, dtype=work, device=micro.device)
        for span in micro.spans():
            output = attended.output[span].flatten(1).to(work)
            kept = mask.kept(span) if mask else None
            visible = seen(output, kept)
            part = fan.backward(visible, kept, fan.low(visible), [grad[span].to(work)], sums)
            assert part is not None
            below[span] = part.view(below[span].shape)
        return below, sums.gradients()

    def projected_backward(
        self, grad: Tensor, grads: tuple[Tensor, ...], x: Tensor, micro: MicroStep, wants_x: bool
    ) -> list[Tensor]:
        """q's, k's and v's factors' gradients; x's is added to `grad` in place, if it is wanted."""
        work = micro.precision.work
        fan = micro.opened(self.qkv)
        mask = micro.mask(self.layer, QKV_SITE, self.qkv)
        sums = fan.sums()
        for span in micro.spans():
            part = x[span].to(work)
            n, inverse = normalised(part, self.norm, self.shape.norm_epsilon)
            kept = mask.kept(span) if mask else None
            heads = [
                micro.rotation.turned_back(grads[0][span], span),
                micro.rotation.turned_back(grads[1][span], span),
                grads[2][span],
            ]
            above = [each.flatten(1) for each in heads]
            visible = seen(n, kept)
            below = fan.backward(visible, kept, fan.low(visible), above, sums, wants_x)
            if below is not None:
                grad[span] += normalised_backward(below, part, self.norm, inverse)
        return sums.gradients()


class Layer:
    """Attention and MLP."""

    def __init__(self, index: int, attention: Attention, mlp: Mlp) -> None:
        self.index = index
        self.attention = attention
        self.mlp = mlp
        fans = (attention.qkv, attention.o, mlp.gate_up, mlp.down)
        self.parameters: tuple[nn.Parameter, ...] = tuple(
            parameter for fan in fans for parameter in fan.parameters
        )

    def forward(self, x: Tensor, micro: MicroStep) -> Tensor:
        """(tokens, hidden), with a gradient where gradients are made."""
        if micro.draw is None:
            return self.mlp.forward(self.halfway(x, micro)[0], micro)
        y: Tensor = _Taught.apply(x, self, micro, *self.parameters)  # type: ignore[no-untyped-call]
        return y

    def halfway(self, x: Tensor, micro: MicroStep) -> tuple[Tensor, Attended]:
        """What goes into the MLP, and what attention gave."""
        attended = self.attention.attended(*self.attention.projected(x, micro), micro)
        return self.attention.joined(x, attended, micro), attended


class _Taught(torch.autograd.Function):
    """A layer whose way back is written out."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Layer, micro: MicroStep, *factors: Tensor) -> Tensor:
        ctx.layer, ctx.micro = layer, micro
        middle, attended = layer.halfway(x, micro)
        kept: tuple[Tensor, ...] = (x,)
        if micro.rung == Rung.OFFLOAD and micro.parking:
            micro.parking.park(layer.index, x)
            kept = ()
        if micro.rung >= Rung.HALVES:
            kept += (middle,)
        if micro.rung >= Rung.ATTENTION:
            kept += (attended.output, *attended.sums)
        ctx.save_for_backward(*kept)
        del attended
        return layer.mlp.forward(middle, micro)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        layer, micro = ctx.layer, ctx.micro
        kept = ctx.saved_tensors
        x = kept[0] if kept else micro.parking.fetch(layer.index)
        attention = layer.attention
        q, k, v = attention.projected(x, micro)
        if micro.rung >= Rung.ATTENTION:
            attended = Attended(kept[2], kept[3:])
        else:
            attended = attention.attended(q, k, v, micro)
        middle = kept[1] if micro.rung >= Rung.HALVES else attention.joined(x, attended, micro)
        # The gradient is this layer's alone, so it is worked on in place.
        mlp_grads = layer.mlp.backward(grad, middle, micro)
        del middle
        below, o_grads = attention.joined_backward(grad, attended, micro)
        work = Attended(attended.output.to(micro.precision.work), attended.sums)
        grads = attend_backward(below, q, k, v, work, micro.starts)
        del below, q, k, v, attended, work
        wants_x = ctx.needs_input_grad[0]
        qkv_grads = attention.projected_backward(grad, grads, x, micro, wants_x)
        return (grad if wants_x else None, None, None, *qkv_grads, *o_grads, *mlp_grads)
