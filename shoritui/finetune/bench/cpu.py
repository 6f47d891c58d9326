"""A training step's processor time, beside transformers and PEFT with checkpointing."""

from __future__ import annotations

from typing import Final

import torch

from shoritui.benchmark import Aim, Figure, benchmark
from shoritui.finetune.bench.lab import Lab, noise, seconds_of, stepper
from shoritui.finetune.bench.reference import Reference
from shoritui.finetune.config.model import Lora
from shoritui.finetune.model.interface import Level
from shoritui.finetune.model.network import Network

ROUNDS: Final = 3
TOKENS: Final = 4096


@benchmark(Aim("cpu_step_vs_peft", "ratio", "<= 0.85"))
def processor(lab: Lab) -> dict[str, Figure]:
    """Turn by turn, NF4 with the same bytes, dropout 0.1, two documents in a pack."""
    device, lora = torch.device("cpu"), Lora()
    shape, tokens = lab.shape_or("small"), lab.tokens or TOKENS
    network = Network.random(shape, lora, device)
    pack = noise([tokens * 5 // 8, tokens - tokens * 5 // 8], shape)
    ours = stepper(network, pack, Level.ATTENTION)
    # Where bf16 is slow, both compute in fp32 what passes between layers in bf16.
    work = network.tuning.precision.work
    reference = Reference(shape, network.weights, network.adapter, lora, work)
    ratios, times = [], []
    for turn in range(1, ROUNDS + 1):
        lab.step(f"round {turn} of {ROUNDS}")
        mine = seconds_of(ours, device)
        theirs = seconds_of(reference.stepper(pack), device)
        ratios.append(mine / theirs)
        times.append(mine)
    half = f"{sorted(times)[len(times) // 2]:.1f} s of processor time a step of {tokens:,} tokens"
    note = f"{half}; PEFT's stream is {str(work).removeprefix('torch.')}"
    return {"cpu_step_vs_peft": Figure(ratios, note)}
