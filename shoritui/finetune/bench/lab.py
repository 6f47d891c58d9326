"""What measurements share: packs that mean nothing, a step forward and backward, its time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch

from shoritui.finetune.data.packs import Pack, Sample, pack_of
from shoritui.finetune.model.interface import Draw, Level
from shoritui.finetune.model.network import Network
from shoritui.finetune.model.shape import shape_named
from shoritui.gguf.shape import Shape


@dataclass(frozen=True, slots=True)
class Lab:
    """What was asked for."""

    shape: str | None
    cap: int | None
    """Bytes of the GPU that may be used; None for all."""
    tokens: int | None
    """Of a pack; None for each row's own."""
    step: Callable[[str], None]
    """Hears how far a measurement is."""
    device: str = ""
    """Where a GPU's rows are measured; empty for the GPU."""

    def shape_or(self, name: str) -> Shape:
        """The shape that was asked for, else this one."""
        return shape_named(self.shape or name)


def noise(lengths: Sequence[int], shape: Shape) -> Pack:
    """Return documents of these lengths, all learnt."""
    draws = np.random.default_rng(0)
    samples = []
    for number, length in enumerate(lengths):
        learn = np.ones(length, dtype=np.bool_)
        learn[0] = False
        ids = draws.integers(0, shape.vocabulary, length, dtype=np.int32)
        samples.append(Sample(ids=ids, learn=learn, source=str(number)))
    return pack_of(tuple(samples))


def stepper(network: Network, pack: Pack, level: Level) -> Callable[[], None]:
    """Return what steps there and back, each time with another dropout."""
    steps = count()

    def step() -> None:
        draw = Draw(seed=0, step=next(steps), pack=0)
        network.loss(pack, draw, level).total.backward()  # type: ignore[no-untyped-call]

    return step


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Of a GPU's time on the wall, or of the processor's: others on this machine count little."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        begun = time.perf_counter()
        work()
        torch.cuda.synchronize(device)
        return time.perf_counter() - begun
    begun = time.process_time()
    work()
    return time.process_time() - begun
