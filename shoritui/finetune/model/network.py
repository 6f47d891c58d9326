"""The fast network: a base of llama's kind, frozen, with an adapter on its linear layers.

    ids ─▶ embedding ─▶ layer ─▶ ... ─▶ layer ─▶ head and loss          forward
                         │ x + o(attend(qkv(norm(x))))
                         │ x + down(silu(gate(n)) * up(n)), n = norm(x)
    gradients of the factors ◀─ layer ◀─ ... ◀─ layer ◀─ grad of x      backward, written out

A layer keeps for the way back what its checkpointing level says and makes the rest again; logits
never exist for more than a chunk of tokens. From top to bottom: norm, what one micro-step is,
attention, MLP, layer, loss, network, and a document read as it grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from shoritui.errors import UserError
from shoritui.finetune.config.model import Lora
from shoritui.finetune.data.packs import Ids, Pack
from shoritui.finetune.model.adapter import names_of, shapes_of
from shoritui.finetune.model.attention import Attended, attend, attend_backward, sight
from shoritui.finetune.model.dropout import DropoutMask, key_of, mask_of, noise_of, seen
from shoritui.finetune.model.interface import Draw, Level, Loss
from shoritui.finetune.model.precision import Precision, Tuning, tuning_for
from shoritui.finetune.model.projection import DenseProjections, Factors, FusedProjections
from shoritui.finetune.model.rotation import Rotation, rotations_of
from shoritui.finetune.model.weights import Weights, random_weights
from shoritui.gguf.shape import Shape


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


class Parking:
    """The inputs of a micro-step's layers, waiting in main memory between forward and backward.

    On a GPU copies run beside the computation, over pinned memory and a stream of their own.
    """

    def __init__(self, device: torch.device) -> None:
        self._parked: dict[int, Tensor] = {}
        self._fetched: dict[int, Tensor] = {}
        self._stream = _copying(device) if device.type == "cuda" else None
        self._device = device

    def park(self, layer: int, x: Tensor) -> None:
        """Copy it out of a GPU; the caller drops it."""
        if self._stream is None:
            self._parked[layer] = x
            return
        self._parked[layer] = torch.empty(x.shape, dtype=x.dtype, pin_memory=True)
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            self._parked[layer].copy_(x, non_blocking=True)
        # So that x's memory is not used again before the copy is through.
        x.record_stream(self._stream)

    def fetch(self, layer: int) -> Tensor:
        """Bring it back, and begin to bring the one below."""
        if self._stream is None:
            return self._parked.pop(layer)
        self._begin(layer)
        torch.cuda.current_stream().wait_stream(self._stream)
        x = self._fetched.pop(layer)
        x.record_stream(torch.cuda.current_stream())
        self._begin(layer - 1)
        return x

    def _begin(self, layer: int) -> None:
        if layer not in self._parked or self._stream is None:
            return
        with torch.cuda.stream(self._stream):
            self._fetched[layer] = self._parked[layer].to(self._device, non_blocking=True)
        # Pinned memory goes back to a pool that waits for copies, so it may be dropped here.
        del self._parked[layer]


@cache
def _copying(device: torch.device) -> torch.cuda.Stream:
    """The one stream of a device that copies: PyTorch keeps freed memory for each stream apart."""
    return torch.cuda.Stream(device=device)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class MicroStep:
    """One pack on its way through the network: what every layer knows of it."""

    starts: tuple[int, ...]
    """Where documents begin, and the number of tokens."""
    rotations: tuple[Rotation, Rotation]
    """Of queries and of keys."""
    draw: Draw | None
    """None where nothing is random: in evaluation."""
    level: Level
    precision: Precision
    device: torch.device
    chunk: int
    """Tokens that are computed at a time where tokens are independent."""
    mask_type: torch.dtype
    parking: Parking | None = None
    """Where layers' inputs wait on the lowest level."""

    @property
    def tokens(self) -> int:
        """Of all documents."""
        return self.starts[-1]

    def spans(self) -> Iterator[slice]:
        """The tokens, a chunk at a time."""
        return _pieces(self.tokens, self.chunk)

    def dense(self, fused: FusedProjections) -> DenseProjections:
        """Return projections ready to compute with."""
        return fused.dense(self.precision, self._drops(fused))

    def mask(self, layer: int, site: int, fused: FusedProjections) -> DropoutMask | None:
        """Return what the adapter of these projections sees; None for all."""
        if self.draw is None or not self._drops(fused):
            return None
        key = key_of(self.draw, layer, site)
        width = fused.adapted[0].a.shape[1]
        return mask_of(key, self.tokens, width, fused.dropout, self.mask_type, self.device)

    def _drops(self, fused: FusedProjections) -> bool:
        return self.draw is not None and fused.dropout > 0 and bool(fused.adapted)


QKV_SITE, O_SITE, GATE_UP_SITE, DOWN_SITE = range(4)
"""The places in a layer at which dropout draws."""


@dataclass(frozen=True, slots=True)
class Attention:
    """The half of a layer in which tokens meet: x + o(attend(qkv(norm(x))))."""

    layer: int
    norm: Tensor
    shape: Shape
    qkv: FusedProjections
    o: FusedProjections
    head_norms: tuple[Tensor, Tensor] | None
    """Of queries and keys, each (head_size,); None where they are not normalised."""
    rotates: bool
    """Whether tokens know their positions here."""

    def projected(self, x: Tensor, micro: MicroStep) -> tuple[Tensor, Tensor, Tensor]:
        """q, k and v of every token, (tokens, heads, head_size) each, turned by position."""
        shape, work, tokens = self.shape, micro.precision.work, micro.tokens
        q, k, v = (
            torch.empty(tokens, heads, shape.head_size, dtype=work, device=micro.device)
            for heads in (shape.heads, shape.kv_heads, shape.kv_heads)
        )
        dense = micro.dense(self.qkv)
        mask = micro.mask(self.layer, QKV_SITE, self.qkv)
        for span in micro.spans():
            n, _ = normalised(x[span].to(work), self.norm, shape.norm_epsilon)
            outputs, _ = dense.forward(n, seen(n, mask.kept(span) if mask else None))
            heads = [output.view(len(output), -1, shape.head_size) for output in outputs]
            q[span] = self._placed(0, heads[0], span, micro)
            k[span] = self._placed(1, heads[1], span, micro)
            v[span] = heads[2]
        return q, k, v

    def _placed(self, side: int, heads: Tensor, span: slice, micro: MicroStep) -> Tensor:
        """Queries (0) or keys (1), normalised and turned where this base does that."""
        if self.head_norms:
            heads, _ = normalised(heads, self.head_norms[side], self.shape.norm_epsilon)
        return micro.rotations[side].turned(heads, span) if self.rotates else heads

    def _placed_backward(
        self, side: int, grad: Tensor, heads: Tensor | None, span: slice, micro: MicroStep
    ) -> Tensor:
        """The gradient of what was placed; `heads` is wanted where it was normalised."""
        if self.rotates:
            grad = micro.rotations[side].turned_back(grad, span)
        if self.head_norms is None or heads is None:
            return grad
        norm = self.head_norms[side]
        _, inverse = normalised(heads, norm, self.shape.norm_epsilon)
        return normalised_backward(grad, heads, norm, inverse)

    def attended(self, q: Tensor, k: Tensor, v: Tensor, micro: MicroStep) -> Attended:
        """What attention gives, in the stream's type: whether it is kept changes nothing."""
        result = attend(q, k, v, micro.starts, self.shape.window_of(self.layer))
        return Attended(result.output.to(micro.precision.stream), result.sums)

    def joined(self, x: Tensor, attended: Attended, micro: MicroStep) -> Tensor:
        """x and what attention adds to it."""
        work = micro.precision.work
        dense = micro.dense(self.o)
        mask = micro.mask(self.layer, O_SITE, self.o)
        y = torch.empty_like(x)
        for span in micro.spans():
            output = attended.output[span].flatten(1).to(work)
            (out,), _ = dense.forward(output, seen(output, mask.kept(span) if mask else None))
            y[span] = out.add_(x[span])
        return y

    def joined_backward(
        self, grad: Tensor, attended: Attended, micro: MicroStep
    ) -> tuple[Tensor, list[Tensor]]:
        """The gradient of what attention gave, in the working type, and o's factors' gradients."""
        work = micro.precision.work
        dense = micro.dense(self.o)
        mask = micro.mask(self.layer, O_SITE, self.o)
        sums = dense.sums()
        below = torch.empty(attended.output.shape, dtype=work, device=micro.device)
        for span in micro.spans():
            output = attended.output[span].flatten(1).to(work)
            kept = mask.kept(span) if mask else None
            visible = seen(output, kept)
            part = dense.backward(visible, kept, dense.low(visible), [grad[span].to(work)], sums)
            assert part is not None
            below[span] = part.view(below[span].shape)
        return below, sums.gradients()

    def projected_backward(
        self, grad: Tensor, grads: tuple[Tensor, ...], x: Tensor, micro: MicroStep, wants_x: bool
    ) -> list[Tensor]:
        """q's, k's and v's factors' gradients; x's is added to `grad` in place, if it is wanted."""
        work = micro.precision.work
        dense = micro.dense(self.qkv)
        mask = micro.mask(self.layer, QKV_SITE, self.qkv)
        sums = dense.sums()
        for span in micro.spans():
            part = x[span].to(work)
            n, inverse = normalised(part, self.norm, self.shape.norm_epsilon)
            kept = mask.kept(span) if mask else None
            visible = seen(n, kept)
            q, k, low = None, None, None
            if self.head_norms:
                (q, k, _), low = dense.forward(n, visible)
                q, k = (each.view(len(n), -1, self.shape.head_size) for each in (q, k))
            else:
                low = dense.low(visible)
            heads = (
                self._placed_backward(0, grads[0][span], q, span, micro),
                self._placed_backward(1, grads[1][span], k, span, micro),
                grads[2][span],
            )
            above = [each.flatten(1) for each in heads]
            below = dense.backward(visible, kept, low, above, sums, wants_x)
            if below is not None:
                grad[span] += normalised_backward(below, part, self.norm, inverse)
        return sums.gradients()


@dataclass(frozen=True, slots=True)
class Mlp:
    """The half of a layer behind attention: x + down(silu(gate(n)) * up(n)), n = norm(x).

    On the way back all but x is made again, one token chunk at a time, or what `gate` and `up`
    gave is kept.
    """

    layer: int
    norm: Tensor
    epsilon: float
    width: int
    gate_up: FusedProjections
    down: FusedProjections

    def opened(self, micro: MicroStep) -> tuple[Tensor, Tensor]:
        """Room for what `gate` and `up` give, (tokens, width) each."""
        size, work = (micro.tokens, self.width), micro.precision.work
        gate, up = (torch.empty(size, dtype=work, device=micro.device) for _ in range(2))
        return gate, up

    def forward(
        self, x: Tensor, micro: MicroStep, kept: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """(tokens, hidden), what is added included; what is to be kept is written into `kept`."""
        gate_up, down = map(micro.dense, (self.gate_up, self.down))
        n_mask = micro.mask(self.layer, GATE_UP_SITE, self.gate_up)
        h_mask = micro.mask(self.layer, DOWN_SITE, self.down)
        y = torch.empty_like(x)
        for span in micro.spans():
            part = x[span].to(micro.precision.work)
            n, _ = normalised(part, self.norm, self.epsilon)
            into = [each[span] for each in kept] if kept else None
            visible = seen(n, n_mask.kept(span) if n_mask else None)
            (gate, up), _ = gate_up.forward(n, visible, into)
            h = functional.silu(gate, inplace=not kept).mul_(up)
            (out,), _ = down.forward(h, seen(h, h_mask.kept(span) if h_mask else None))
            y[span] = out.add_(part)
        return y

    def backward(
        self,
        grad: Tensor,
        x: Tensor,
        micro: MicroStep,
        kept: tuple[Tensor, Tensor] | None = None,
    ) -> list[Tensor]:
        """The factors' gradients; `grad` becomes the gradient of x in place."""
        gate_up, down = map(micro.dense, (self.gate_up, self.down))
        n_mask = micro.mask(self.layer, GATE_UP_SITE, self.gate_up)
        h_mask = micro.mask(self.layer, DOWN_SITE, self.down)
        gate_up_sums, down_sums = gate_up.sums(), down.sums()
        for span in micro.spans():
            part, above = x[span].to(micro.precision.work), grad[span].to(micro.precision.work)
            n, inverse = normalised(part, self.norm, self.epsilon)
            n_kept = n_mask.kept(span) if n_mask else None
            n_seen = seen(n, n_kept)
            if kept:
                gate, up, n_low = kept[0][span], kept[1][span], gate_up.low(n_seen)
            else:
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


@dataclass(frozen=True, slots=True)
class Layer:
    """Attention and MLP."""

    index: int
    attention: Attention
    mlp: Mlp

    @property
    def parameters(self) -> Iterator[nn.Parameter]:
        """The factors, in the order in which `_LayerFunction` returns their gradients."""
        for fused in (self.attention.qkv, self.attention.o, self.mlp.gate_up, self.mlp.down):
            yield from fused.parameters

    def forward(self, x: Tensor, micro: MicroStep) -> Tensor:
        """(tokens, hidden), with a gradient where gradients are made."""
        if micro.draw is None:
            return self.mlp.forward(self.halfway(x, micro)[0], micro)
        y: Tensor = _LayerFunction.apply(x, self, micro, *self.parameters)  # type: ignore[no-untyped-call]
        return y

    def halfway(
        self, x: Tensor, micro: MicroStep, projected: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Attended]:
        """What goes into the MLP, and what attention gave; q, k and v may be there already."""
        q, k, v = projected or self.attention.projected(x, micro)
        attended = self.attention.attended(q, k, v, micro)
        return self.attention.joined(x, attended, micro), attended


class _LayerFunction(torch.autograd.Function):
    """A layer whose way back is written out."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Layer, micro: MicroStep, *factors: Tensor) -> Tensor:
        ctx.layer, ctx.micro = layer, micro
        opened: tuple[Tensor, ...] = ()
        if micro.level >= Level.ALL:
            opened = (*layer.attention.projected(x, micro), *layer.mlp.opened(micro))
        middle, attended = layer.halfway(x, micro, opened[:3])
        kept: tuple[Tensor, ...] = (x,)
        if micro.level == Level.OFFLOAD and micro.parking:
            micro.parking.park(layer.index, x)
            kept = ()
        if micro.level >= Level.HALVES:
            kept += (middle,)
        if micro.level >= Level.ATTENTION:
            kept += (attended.output, *attended.sums)
        ctx.save_for_backward(*opened, *kept)
        del attended
        return layer.mlp.forward(middle, micro, (opened[3], opened[4]) if opened else None)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        layer, micro = ctx.layer, ctx.micro
        kept = ctx.saved_tensors
        opened, kept = (kept[:5], kept[5:]) if micro.level >= Level.ALL else ((), kept)
        x = kept[0] if kept else micro.parking.fetch(layer.index)
        attention = layer.attention
        q, k, v = opened[:3] or attention.projected(x, micro)
        if micro.level >= Level.ATTENTION:
            attended = Attended(kept[2], kept[3:])
        else:
            attended = attention.attended(q, k, v, micro)
        middle = kept[1] if micro.level >= Level.HALVES else attention.joined(x, attended, micro)
        # The gradient is this layer's alone, so it is worked on in place.
        mlp_grads = layer.mlp.backward(grad, middle, micro, opened[3:] or None)
        del middle, opened
        below, o_grads = attention.joined_backward(grad, attended, micro)
        work = Attended(attended.output.to(micro.precision.work), attended.sums)
        window = layer.attention.shape.window_of(layer.index)
        grads = attend_backward(below, q, k, v, work, micro.starts, window)
        del below, q, k, v, attended, work
        wants_x = ctx.needs_input_grad[0]
        qkv_grads = attention.projected_backward(grad, grads, x, micro, wants_x)
        return (grad if wants_x else None, None, None, *qkv_grads, *o_grads, *mlp_grads)


@dataclass(frozen=True, slots=True)
class Targets:
    """Which tokens predict, and what."""

    rows: Tensor
    """(learnt,): places of the tokens before those that are learnt."""
    ids: Tensor
    """(learnt,): the learnt tokens."""
    bounds: tuple[int, ...]
    """Where each document's part begins in both, and their length."""
    starts: tuple[int, ...]
    """Where each document begins in the pack, and the pack's length."""


def targets_of(pack: Pack, device: torch.device) -> Targets:
    """What is learnt of a pack."""
    places = np.flatnonzero(pack.learn)
    return Targets(
        rows=torch.from_numpy(places - 1).to(device),
        ids=torch.from_numpy(pack.ids[places].astype(np.int64)).to(device),
        bounds=tuple(int(place) for place in np.searchsorted(places, pack.starts)),
        starts=pack.starts,
    )


@dataclass(frozen=True, slots=True)
class Head:
    """The frozen end of a network."""

    norm: Tensor
    epsilon: float
    weight: Tensor
    chunk: int
    """Tokens whose logits exist at a time."""
    rows: int
    """Tokens whose logits are made probabilities at a time."""

    def logits(self, x: Tensor, precision: Precision) -> Tensor:
        """(tokens, vocabulary), fp32."""
        n, _ = normalised(x.to(precision.work), self.norm, self.epsilon)
        return (n @ self.weight.to(precision.work).t()).float()

    def losses(
        self, x: Tensor, targets: Targets, precision: Precision, grad: Tensor | None
    ) -> Tensor:
        """(learnt,), fp32, in nats; the gradient of their sum is written into `grad`, if given."""
        weight = self.weight.to(precision.work)
        learnt = len(targets.ids)
        losses = torch.empty(learnt, device=x.device)
        # One room for all chunks: to get so much memory anew takes a tenth of a product's time.
        room = x.new_empty(min(self.chunk, learnt), len(weight), dtype=precision.work)
        for span in _pieces(learnt, self.chunk):
            rows, ids = targets.rows[span], targets.ids[span][:, None]
            part = x[rows].to(precision.work)
            n, inverse = normalised(part, self.norm, self.epsilon)
            logits = torch.mm(n, weight.t(), out=room[: len(n)])
            for few in _pieces(len(n), self.rows):
                losses[span][few] = _cross_entropy(logits[few], ids[few], grad is not None)
            if grad is not None:
                below = normalised_backward(logits @ weight, part, self.norm, inverse)
                grad[rows] = below.to(grad.dtype)
        return losses


def _pieces(length: int, size: int) -> Iterator[slice]:
    """So many numbers, some at a time."""
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def _cross_entropy(logits: Tensor, ids: Tensor, wants_gradient: bool) -> Tensor:
    """The loss of each row, in fp32; the logits become their gradient in place, if it is wanted."""
    wide = logits.float()
    wide -= wide.amax(-1, keepdim=True)
    wanted = wide.gather(1, ids)
    total = wide.exp_().sum(-1, keepdim=True)
    if wants_gradient:
        wide /= total
        wide.scatter_add_(1, ids, torch.full_like(wanted, -1.0))
        if wide.dtype != logits.dtype:
            logits.copy_(wide)
    return (total.log() - wanted)[:, 0]


def summed(losses: Tensor, targets: Targets) -> Tensor:
    """(documents,), fp64: each document's losses, added up."""
    sums = [losses[a:b].sum(dtype=torch.float64) for a, b in pairwise(targets.bounds)]
    return torch.stack(sums)


class LossSums(torch.autograd.Function):
    """x to the sum of each document's losses.

    The gradient of their plain sum is made on the way there. A row of it belongs to one document,
    so on the way back it is only scaled by what is asked of that document's sum.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, head: Head, targets: Targets, precision: Precision) -> Tensor:
        """(documents,), fp64."""
        grad = torch.zeros_like(x)
        losses = head.losses(x, targets, precision, grad)
        ctx.save_for_backward(grad)
        ctx.starts = targets.starts
        return summed(losses, targets)

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, ...]:
        """That of x."""
        (grad,) = ctx.saved_tensors
        for scale, (start, end) in zip(above, pairwise(ctx.starts), strict=True):
            grad[start:end] *= scale
        return grad, None, None, None


_EMBEDDING = -1


class Network:
    """A frozen base and an adapter: `interface.Trainable`, with every step of the maths its own."""

    is_fast = True

    def __init__(
        self,
        shape: Shape,
        weights: Weights,
        adapter: Mapping[str, nn.Parameter],
        lora: Lora,
        dtype: torch.dtype = torch.bfloat16,
        neftune: float = 0.0,
    ) -> None:
        self.shape = shape
        self.weights = weights
        self.adapter = adapter
        self.lora = lora
        self.dtype = dtype
        """What passes from layer to layer."""
        self.neftune = neftune
        self.device = weights.embedding.device
        self.tuned: Tuning | None = None
        """Set to compute as on another device, or in other chunks."""
        self.parking: Callable[[torch.device], Parking] = Parking
        """Where layers' inputs wait on the lowest level."""
        self.layers = [self._layer(index) for index in range(shape.layers)]

    @classmethod
    def random(
        cls,
        shape: Shape,
        lora: Lora,
        device: torch.device,
        dtype: torch.dtype = torch.bfloat16,
        is_nf4: bool = True,
        is_double: bool = True,
    ) -> Network:
        """One of noise, for measuring and for tracing; its adapter does something."""
        adapter = {
            name: nn.Parameter(torch.randn(size, device=device).mul_(0.1 * size[1] ** -0.5))
            for name, size in shapes_of(shape.linears, lora).items()
        }
        weights = random_weights(shape, device, dtype, is_nf4, is_double)
        return cls(shape, weights, adapter, lora, dtype)

    @property
    def tuning(self) -> Tuning:
        """How it computes."""
        return self.tuned or tuning_for(self.device.type, self.dtype)

    def loss(self, pack: Pack, draw: Draw | None, level: Level) -> Loss:
        """The loss of a pack; without a draw nothing is random and no gradient is kept."""
        micro = self.micro(pack.starts, draw, level)
        head, targets = self.head(), targets_of(pack, self.device)
        with torch.set_grad_enabled(draw is not None):
            x = self._through(self.embedded(pack.ids, micro), micro)
            if draw is None:
                return Loss(summed(head.losses(x, targets, micro.precision, None), targets))
            return Loss(LossSums.apply(x, head, targets, micro.precision))  # type: ignore[no-untyped-call]

    def logits(self, ids: Ids) -> Tensor:
        """(tokens, vocabulary), fp32, on the device: of one document, without gradient."""
        micro = self.micro((0, len(ids)))
        with torch.no_grad():
            x = self._through(self.embedded(ids, micro), micro)
            return self.head().logits(x, micro.precision)

    def reading(self, room: int) -> Reader:
        """A document of at most so many tokens, read as it grows."""
        return Reader(self, room)

    def embedded(self, ids: Ids, micro: MicroStep) -> Tensor:
        """(tokens, hidden), in the stream's type, and what a draw adds to it."""
        places = torch.from_numpy(ids).to(self.device)
        x = functional.embedding(places, self.weights.embedding).to(self.dtype)
        if micro.draw is None or self.neftune == 0:
            return x
        return self._noised(x, micro, micro.draw)

    def micro(
        self,
        starts: tuple[int, ...],
        draw: Draw | None = None,
        level: Level = Level.INPUTS,
        first: int = 0,
    ) -> MicroStep:
        """Return what layers know of documents, whose first tokens are at this place of each."""
        tuning = self.tuning
        parks = draw is not None and level == Level.OFFLOAD
        return MicroStep(
            starts=starts,
            rotations=rotations_of(starts, self.shape, self.device, first),
            draw=draw,
            level=level,
            precision=tuning.precision,
            device=self.device,
            chunk=tuning.chunk,
            mask_type=tuning.mask,
            parking=self.parking(self.device) if parks else None,
        )

    def head(self) -> Head:
        """The end of the network."""
        weights, tuning = self.weights, self.tuning
        return Head(
            weights.norm,
            self.shape.norm_epsilon,
            weights.head,
            tuning.loss_chunk,
            tuning.softmax_rows,
        )

    def _through(self, x: Tensor, micro: MicroStep) -> Tensor:
        for layer in self.layers:
            x = layer.forward(x, micro)
        return x

    def _noised(self, x: Tensor, micro: MicroStep, draw: Draw) -> Tensor:
        """With NEFTune's noise, the weaker the longer a document is."""
        noise = noise_of(key_of(draw, _EMBEDDING, 0), x.shape[0], x.shape[1], self.device)
        for start, end in pairwise(micro.starts):
            noise[start:end] *= self.neftune / ((end - start) * x.shape[1]) ** 0.5
        return (x + noise).to(x.dtype)

    def _layer(self, index: int) -> Layer:
        weights, shape = self.weights.layers[index], self.shape
        attention = Attention(
            index,
            weights.attention_norm,
            shape,
            self._fused(index, "q_proj", "k_proj", "v_proj"),
            self._fused(index, "o_proj"),
            weights.head_norms,
            index not in shape.unrotated,
        )
        mlp = Mlp(
            index,
            weights.mlp_norm,
            shape.norm_epsilon,
            shape.intermediate,
            self._fused(index, "gate_proj", "up_proj"),
            self._fused(index, "down_proj"),
        )
        return Layer(index, attention, mlp)

    def _fused(self, index: int, *projections: str) -> FusedProjections:
        held = self.weights.layers[index]
        return FusedProjections(
            weights=tuple(held.projections[name] for name in projections),
            biases=tuple(held.biases.get(name) for name in projections),
            factors=tuple(self._factors(index, name) for name in projections),
            scale=self.lora.scale,
            dropout=self.lora.dropout,
        )

    def _factors(self, index: int, projection: str) -> Factors | None:
        name_a, name_b = names_of(self.shape.path(index, projection))
        if name_a not in self.adapter:
            return None
        return Factors(self.adapter[name_a], self.adapter[name_b])


class Reader:
    """One document as it grows, for sample replies: keys and values of what was read are kept."""

    def __init__(self, network: Network, room: int) -> None:
        """Make room for so many tokens."""
        shape, work = network.shape, network.tuning.precision.work
        size = (shape.layers, 2, room, shape.kv_heads, shape.head_size)
        self._network = network
        self._cache = torch.empty(size, dtype=work, device=network.device)
        self.length = 0
        """Tokens that were read."""

    def read(self, ids: Ids) -> Tensor:
        """Read on; (vocabulary,), fp32: the logits of what may come next.

        Raises:
            UserError: There is no room for so many.
        """
        network, room = self._network, self._cache.shape[2]
        if self.length + len(ids) > room:
            raise UserError(f"The document grows beyond the {room} tokens that can be read.")
        micro = network.micro((0, len(ids)), first=self.length)
        with torch.no_grad():
            x = network.embedded(ids, micro)
            for layer, cache in zip(network.layers, self._cache, strict=True):
                q, k, v = layer.attention.projected(x, micro)
                window = network.shape.window_of(layer.index)
                output = self._attended(q, k, v, cache, window).to(micro.precision.stream)
                x = layer.attention.joined(x, Attended(output, ()), micro)
                x = layer.mlp.forward(x, micro)
            self.length += len(ids)
            return network.head().logits(x[-1:], micro.precision)[0]

    def _attended(self, q: Tensor, k: Tensor, v: Tensor, cache: Tensor, window: int) -> Tensor:
        before, now = self.length, self.length + len(q)
        cache[0, before:now] = k
        cache[1, before:now] = v
        if before == 0:
            return attend(q, k, v, (0, now), window).output
        sees_all = len(q) == 1 and not 0 < window < now
        mask = None if sees_all else sight(before, now, window, q.device)
        queries, keys, values = (
            each.transpose(0, 1)[None] for each in (q, cache[0, :now], cache[1, :now])
        )
        output = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, enable_gqa=True
        )
        return output[0].transpose(0, 1)
