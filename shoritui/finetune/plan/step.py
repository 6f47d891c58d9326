"""One training step run with tensors that hold nothing: what it takes, with no GPU at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from shoritui.finetune.config.model import Base, Lora, Train
from shoritui.finetune.data.packs import Pack
from shoritui.finetune.model.interface import Draw, Level, Trainable
from shoritui.finetune.model.network import Network, Parking
from shoritui.finetune.model.optimizer import make_optimizer
from shoritui.finetune.model.precision import TYPES, tuning_for
from shoritui.finetune.plan.trace import Trace
from shoritui.gguf.shape import Shape

Kind = Literal["cuda", "cpu"]
"""Of device."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one pack's way there and back takes."""

    fixed: int
    """Bytes of tensors that stay between steps: base, adapter, gradients, optimizer."""
    tensors: int
    """The most bytes of tensors on the device: what PyTorch's allocator would tell."""
    host: int
    """The most bytes of pinned main memory."""
    where: str
    """The operation at which the device's peak is."""
    products: int
    """Floating point operations of matrix products."""
    attention: int
    """The same of attention."""


def traced(
    shape: Shape,
    base: Base,
    lora: Lora,
    train: Train,
    documents: Sequence[int],
    level: Level,
    kind: Kind,
) -> Work:
    """Run a step of this shape with tensors that hold nothing, as such a device would."""
    trace = Trace()
    dtype = TYPES[train.precision]
    with trace:
        network = Network.random(
            *(shape, lora, torch.device("meta"), dtype),
            is_nf4=base.quantize == "nf4",
            is_double=base.double_quant,
        )
    network.neftune = train.neftune
    network.tuned = tuning_for(kind, dtype)
    if kind == "cuda":
        network.parking = partial(_PinnedParking, trace)
    optimizer = make_optimizer(network.adapter, lora, train)  # its code tables are real
    return work_of(network, optimizer, pack_like(documents), level, trace)


def work_of(
    network: Trainable, optimizer: Optimizer, pack: Pack, level: Level, trace: Trace
) -> Work:
    """Take one step to have all that stays, then count a pack's way there and back."""
    with trace:
        for parameter in network.adapter.values():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        trace.forget()
        fixed = trace.live
        network.loss(pack, Draw(seed=0, step=0, pack=0), level).total.backward()  # type: ignore[no-untyped-call]
    return Work(fixed, trace.peak, trace.host_peak, trace.where, trace.products, trace.attention)


def pack_like(documents: Sequence[int]) -> Pack:
    """Return documents of these lengths, all learnt, that say nothing."""
    starts = tuple(accumulate(documents, initial=0))
    learn = np.ones(starts[-1], dtype=np.bool_)
    learn[list(starts[:-1])] = False
    ids = np.zeros(starts[-1], dtype=np.int32)
    return Pack(ids=ids, learn=learn, starts=starts, sources=("",) * len(documents))


class _PinnedParking(Parking):
    """As on a GPU, in pinned memory, but without streams: nothing is copied."""

    def __init__(self, trace: Trace, device: torch.device) -> None:
        super().__init__(device)
        self._trace = trace
        self._waiting: dict[int, tuple[torch.Size, torch.dtype]] = {}

    def park(self, layer: int, x: Tensor) -> None:
        """Count it out."""
        self._trace.park(x.nbytes)
        self._waiting[layer] = x.shape, x.dtype

    def fetch(self, layer: int) -> Tensor:
        """Count it in."""
        shape, dtype = self._waiting.pop(layer)
        x = torch.empty(shape, dtype=dtype, device=self._device)
        self._trace.unpark(x.nbytes)
        return x
