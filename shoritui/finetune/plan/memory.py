"""How much memory a training step takes on each rung, and which rung fits.

It does not know how the step is made: it runs the real one with tensors that hold nothing, on
two small depths, and goes on in a straight line, since every layer takes the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch

from shoritui.errors import UserError
from shoritui.finetune.config.model import Base, Lora, Train
from shoritui.finetune.model.interface import Rung
from shoritui.finetune.model.shape import Shape
from shoritui.finetune.plan.step import Kind, Work, traced

GIB: Final = 2**30
DEPTHS: Final = (1, 2)
"""The layers of the two small networks that are traced."""
_FIRST_GUESS: Final = 8
"""Thousands of tokens."""
CONTEXT_BYTES: Final = GIB // 2
"""What CUDA's context and libraries take before the first tensor; torch's code on a CPU."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The worst moment of a step on one rung."""

    rung: Rung
    tokens: int
    device: int
    """Bytes on the device, with what is taken beside the tensors (`CONTEXT_BYTES`, buffers)."""
    tensors: int
    """Bytes of it that are tensors: what PyTorch's allocator would tell."""
    fixed: int
    """Bytes of tensors that stay between steps: base, adapter, gradients, optimizer."""
    host: int
    """Bytes of pinned main memory."""
    where: str
    """The operation at which the device's peak is."""
    products: float
    """Floating point operations of matrix products of one pack, both passes."""
    attention: float
    """The same of attention."""


def peaks(
    shape: Shape,
    base: Base,
    lora: Lora,
    train: Train,
    documents: Sequence[int],
    *,
    kind: Kind = "cuda",
    rungs: Sequence[Rung] = tuple(Rung),
) -> dict[Rung, Peak]:
    """The peak of each rung, the fastest first, for a pack of documents of these lengths."""
    return {
        rung: _peak(shape, base, lora, train, documents, rung, kind)
        for rung in sorted(rungs, reverse=True)
    }


def choose_rung(peaks: Mapping[Rung, Peak], cap: int, host: int | None = None) -> Rung:
    """The fastest rung that fits into `cap` bytes of the device and `host` bytes beside it.

    Raises:
        UserError: None does.
    """
    for rung in sorted(peaks, reverse=True):
        if peaks[rung].device <= cap and (host is None or peaks[rung].host <= host):
            return rung
    least = min(peaks.values(), key=lambda peak: peak.device)
    if least.device <= cap:
        raise UserError(
            f"A pack of {least.tokens:,} tokens needs {in_gib(least.host)} of main memory beside "
            f"{in_gib(least.device)} of the GPU's, and {in_gib(host or 0)} are free: lower "
            "[train] sequence_len."
        )
    raise UserError(
        f"A pack of {least.tokens:,} tokens needs {in_gib(least.device)} even on the rung that "
        f"takes the least ({least.rung.name.lower()}), and there are {in_gib(cap)}: "
        f"{_advice(least, cap)}."
    )


def longest_context(shape: Shape, base: Base, lora: Lora, train: Train, cap: int) -> Peak:
    """The peak of a single document that fits into `cap` bytes, where hardly a longer one does.

    Raises:
        UserError: Not even a thousand tokens fit.
    """

    def at(thousands: int) -> Peak:
        return _peak(shape, base, lora, train, [thousands * 1024], Rung.OFFLOAD, "cuda")

    low = high = at(_FIRST_GUESS)
    while low.device > cap:
        if low.tokens == 1024:
            raise UserError(
                f"1,024 tokens need {in_gib(low.device)}, and there are {in_gib(cap)}: train a "
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
    return machine_memory()


def machine_memory() -> int:
    """Bytes of main memory that are free, also under a container's limit."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        [kibibytes] = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
        free = int(kibibytes) * 1024
    with suppress(OSError, ValueError):
        folder = Path("/sys/fs/cgroup")
        limit = int((folder / "memory.max").read_text(encoding="ascii"))
        free = min(free, limit - int((folder / "memory.current").read_text(encoding="ascii")))
    return free


def in_gib(size: float) -> str:
    """Bytes for people."""
    return f"{size / GIB:,.1f} GiB"


def _peak(
    shape: Shape,
    base: Base,
    lora: Lora,
    train: Train,
    documents: Sequence[int],
    rung: Rung,
    kind: Kind,
) -> Peak:
    depths = DEPTHS if shape.layers > DEPTHS[-1] else (shape.layers,)
    works = [
        traced(replace(shape, layers=depth), base, lora, train, documents, rung, kind)
        for depth in depths
    ]
    whole = _at_depth(works, depths, shape.layers)
    tokens = sum(documents)
    beside = CONTEXT_BYTES
    if whole.host:
        beside += 2 * tokens * shape.hidden * _ITEM[train.precision]  # one comes, one goes
    return Peak(
        rung=rung,
        tokens=tokens,
        device=whole.peak + beside,
        tensors=whole.peak,
        fixed=whole.fixed,
        host=whole.host,
        where=whole.where,
        products=whole.products,
        attention=whole.attention,
    )


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
        peak=at(near.peak, far.peak),
        host=at(near.host, far.host),
        where=far.where,
        products=at(near.products, far.products),
        attention=at(near.attention, far.attention),
    )


def _advice(least: Peak, cap: int) -> str:
    room = cap - CONTEXT_BYTES - least.fixed
    moving = least.device - CONTEXT_BYTES - least.fixed
    if room <= 0:
        return "the base alone does not fit; train a smaller one or plan for a larger GPU"
    fits = int(least.tokens * room / moving) // 1024 * 1024
    shorter = f"lower [train] sequence_len to about {fits:,}" if fits else "train a smaller base"
    return f"{shorter}, or plan for a larger GPU"
