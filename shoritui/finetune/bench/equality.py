"""Whether the training step computes what it should: beside single documents, beside PEFT."""

from __future__ import annotations

from typing import Final

import torch

from shoritui.benchmark import Aim, Figure, benchmark
from shoritui.finetune.bench.lab import Lab, noise
from shoritui.finetune.bench.reference import Reference
from shoritui.finetune.config.model import Lora
from shoritui.finetune.model.interface import Draw, Level
from shoritui.finetune.model.network import Network

LENGTHS: Final = (100, 37, 200, 55)
_DRAW: Final = Draw(seed=0, step=0, pack=0)


@benchmark(
    Aim("packed_vs_unpacked", "nats", "<= 1e-6"), Aim("gradients_vs_peft", "error", "<= 1e-5")
)
def equality(lab: Lab) -> dict[str, Figure]:
    """In fp32 on the CPU, nothing quantised, without dropout."""
    torch.manual_seed(0)
    shape, lora = lab.shape_or("tiny"), Lora(dropout=0.0)
    network = Network.random(shape, lora, torch.device("cpu"), torch.float32, is_nf4=False)
    pack = noise(LENGTHS, shape)
    loss = network.loss(pack, _DRAW, Level.HALVES)
    loss.total.backward()  # type: ignore[no-untyped-call]
    apart = []
    for number, (begin, length) in enumerate(zip(pack.starts[:-1], LENGTHS, strict=True)):
        alone = noise([length], shape)
        alone.ids[:] = pack.ids[begin : begin + length]
        single = network.loss(alone, None, Level.HALVES).total
        apart.append(abs(float(single.detach() - loss.by_document[number].detach())) / (length - 1))
    reference = Reference(shape, network.weights, network.adapter, lora, torch.float32)
    reference.loss(pack).backward()  # type: ignore[no-untyped-call]
    errors = []
    for name, factor in network.adapter.items():
        theirs, ours = reference.adapter[name].grad, factor.grad
        assert theirs is not None and ours is not None
        errors.append(float((ours - theirs).norm() / theirs.norm()))
    return {
        "packed_vs_unpacked": Figure([max(apart)], "a token's loss; the worst of four documents"),
        "gradients_vs_peft": Figure([max(errors)], "relative; the worst of all factors"),
    }
