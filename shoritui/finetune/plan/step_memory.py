"""How much memory a training step takes at each checkpointing level, and which level fits.

The real step runs with tensors that hold nothing, at two small depths; the rest follows in a
straight line, since every layer takes the same:

    bytes │              ● 32 layers
          │      ╱
          │ ●●  1 and 2 are traced
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from shoritui.errors import UserError
from shoritui.finetune.config.model import Base, Lora, Train
from shoritui.finetune.model.interface import Level
from shoritui.finetune.plan.step import Kind, Work, traced
from shoritui.gguf.shape import Shape
from shoritui.host.machine import free_memory
from shoritui.text import size

GIB: Final = 2**30
DEPTHS: Final = (1, 2)
"""The layers of the two small networks that are traced."""
_FIRST_GUESS: Final = 8
"""Thousands of tokens."""
CONTEXT_BYTES: Final = GIB // 2
"""What CUDA's context and libraries take before the first tensor; torch's code on a CPU."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The worst moment of a step at one checkpointing level."""

    level: Level
    tokens: int
    device: int
    """Bytes on the device, with what is taken beside the tensors (`CONTEXT_BYTES`, buffers)."""
    work: Work


def peaks(
    shape: Shape,
    base: Base,
    lora: Lora,
    train: Train,
    documents: Sequence[int],
    *,
    kind: Kind = "cuda",
    levels: Sequence[Level] = tuple(Level),
) -> dict[Level, Peak]:
    """Return the peak of each level, the fastest first, for a pack of such documents."""
    return {
        level: _peak(shape, base, lora, train, documents, level, kind)
        for level in sorted(levels, reverse=True)
    }


def choose_level(peaks: Mapping[Level, Peak], cap: int, host: int | None = None) -> Level:
    """Return the fastest level that fits into `cap` bytes of the device and `host` bytes beside it.

    Raises:
        UserError: None does.
    """
    for level in sorted(peaks, reverse=True):
        if peaks[level].device <= cap and (host is None or peaks[level].work.host <= host):
            return level
    least = min(peaks.values(), key=lambda peak: peak.device)
    if least.device <= cap:
        raise UserError(
            f"A pack of {least.tokens:,} tokens needs {size(least.work.host)} of main memory "
            f"beside {size(least.device)} of the GPU's, and {size(host or 0)} are free: lower "
            "[train] sequence_len."
        )
    raise UserError(
        f"A pack of {least.tokens:,} tokens needs {size(least.device)} even at the level that "
        f"takes the least ({least.level.name.lower()}), and there are {size(cap)}: "
        f"{_advice(least, cap)}."
    )


def longest_context(shape: Shape, base: Base, lora: Lora, train: Train, cap: int) -> Peak:
    """Return the peak of about the longest single document that fits into `cap` bytes.

    Raises:
        UserError: Not even a thousand tokens fit.
    """

    def at(thousands: int) -> Peak:
        return _peak(shape, base, lora, train, [thousands * 1024], Level.OFFLOAD, "cuda")

    low = high = at(_FIRST_GUESS)
    while low.device > cap:
        if low.tokens == 1024:
            raise UserError(
                f"1,024 tokens need {size(low.device)}, and there are {size(cap)}: train a "
                "smaller base."
            )
        low, high = at(low.tokens // 2048), low
    if low is high:
        high = at(2 * _FIRST_GUESS)
    while True:
        slope = (high.device - low.device) / (high.tokens - low.tokens)
        room = int((cap - low.device) / slope) // 1024 * 1024
        if high.device <= cap:  # the line goes on beyond both
            low, high = high, at(min(low.tokens + room, 4 * high.tokens) // 1024 + 1)
        elif high.tokens - low.tokens <= max(1024, high.tokens // 64):
            return low
        else:
            guess = at((low.tokens + max(room, 1024)) // 1024)
            low, high = (guess, high) if guess.device <= cap else (low, guess)


def memory_of(device: torch.device) -> int:
    """Bytes that are free for training: of the GPU, or of the machine."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + CONTEXT_BYTES  # by now the context has its own
    return free_memory()


def _peak(
    shape: Shape,
    base: Base,
    lora: Lora,
    train: Train,
    documents: Sequence[int],
    level: Level,
    kind: Kind,
) -> Peak:
    depths = DEPTHS if shape.layers > DEPTHS[-1] else (shape.layers,)
    works = [
        traced(replace(shape, layers=depth), base, lora, train, documents, level, kind)
        for depth in depths
    ]
    whole = _at_depth(works, depths, shape.layers)
    tokens = sum(documents)
    beside = CONTEXT_BYTES
    if whole.host:
        beside += 2 * tokens * shape.hidden * _ITEM[train.precision]  # one comes, one goes
    return Peak(level, tokens, whole.tensors + beside, whole)


_ITEM: Final = {"bf16": 2, "fp32": 4}


def _at_depth(works: Sequence[Work], depths: Sequence[int], layers: int) -> Work:
    """The line through one or two works."""
    if len(works) == 1:
        return works[0]
    near, far = works

    def at(one: int, other: int) -> int:
        return one + (other - one) * (layers - depths[0]) // (depths[1] - depths[0])

    return Work(
        fixed=at(near.fixed, far.fixed),
        tensors=at(near.tensors, far.tensors),
        host=at(near.host, far.host),
        where=far.where,
        products=at(near.products, far.products),
        attention=at(near.attention, far.attention),
    )


def _advice(least: Peak, cap: int) -> str:
    fixed = CONTEXT_BYTES + least.work.fixed
    room, moving = cap - fixed, least.device - fixed
    if room <= 0:
        return "the base alone does not fit; train a smaller one or plan for a larger GPU"
    fits = int(least.tokens * room / moving) // 1024 * 1024
    shorter = f"lower [train] sequence_len to about {fits:,}" if fits else "train a smaller base"
    return f"{shorter}, or plan for a larger GPU"
