"""A training step's processor time, beside transformers and PEFT with checkpointing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Final

import torch

from shoritui.benchmark import Aim, Figure, benchmark
from shoritui.finetune.bench.lab import Lab, noise, seconds_of, stepper
from shoritui.finetune.bench.reference import Reference
from shoritui.finetune.config.model import Lora
from shoritui.finetune.model.interface import Level
from shoritui.finetune.model.network import Network
from shoritui.finetune.model.precision import TYPES, tuning_for

ROUNDS: Final = 3
TOKENS: Final = 4096
SMALL_TOKENS: Final = 2048
_CPU: Final = torch.device("cpu")
_THREADS: Final = (1, 2)
_TYPED: Final = tuple((name, threads) for name in reversed(TYPES) for threads in _THREADS)


@benchmark(Aim("cpu_step_vs_peft", "ratio", "<= 0.85"))
def processor(lab: Lab) -> dict[str, Figure]:
    """Turn by turn, NF4 with the same bytes, dropout 0.1, two documents in a pack."""
    network = Network.random(lab.shape_or("small"), Lora(), _CPU)
    figure = _beside_peft(lab, network, lab.tokens or TOKENS, Level.ATTENTION)
    return {"cpu_step_vs_peft": figure}


@benchmark(*(Aim(f"cpu_{name}_vs_peft_{threads}", "ratio", "<= 0.6") for name, threads in _TYPED))
def small_base(lab: Lab) -> dict[str, Figure]:
    """A base as people train it without a GPU, not quantised: in fp32 and bf16, with one and two
    threads, everything kept. PEFT's checkpointing makes each layer again.
    """
    figures = {}
    shape, tokens = lab.shape_or("smollm2-135m"), lab.tokens or SMALL_TOKENS
    for name, threads in _TYPED:
        stream = TYPES[name]
        if tuning_for("cpu", stream).precision.work != stream:
            figure = Figure((), f"this processor has no instructions for {name}")
        else:
            with _threads(threads):
                network = Network.random(shape, Lora(), _CPU, stream, is_nf4=False)
                lab.step(f"{name}, {threads} of {max(_THREADS)} threads")
                figure = _beside_peft(lab, network, tokens, Level.ALL, threads)
        figures[f"cpu_{name}_vs_peft_{threads}"] = figure
    return figures


def _beside_peft(lab: Lab, network: Network, tokens: int, level: Level, threads: int = 0) -> Figure:
    """Our processor time over theirs, round by round."""
    pack = noise([tokens * 5 // 8, tokens - tokens * 5 // 8], network.shape)
    ours = stepper(network, pack, level)
    # Where bf16 is slow, both compute in fp32 what passes between layers in bf16.
    work = network.tuning.precision.work
    reference = Reference(network.shape, network.weights, network.adapter, network.lora, work)
    mine, theirs = [], []
    for turn in range(1, ROUNDS + 1):
        lab.step(f"round {turn} of {ROUNDS}")
        mine.append(seconds_of(ours, _CPU))
        theirs.append(seconds_of(reference.stepper(pack), _CPU))
    threads = threads or torch.get_num_threads()
    speeds = [f"{tokens * threads / median(times):,.0f}" for times in (mine, theirs)]
    note = (
        f"{median(mine):.1f} s of processor time a step of {tokens:,} tokens: {speeds[0]} tokens a "
        f"second, PEFT {speeds[1]}; its stream is {str(work).removeprefix('torch.')}"
    )
    return Figure([one / other for one, other in zip(mine, theirs, strict=True)], note)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
