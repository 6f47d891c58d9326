"""The ranks of a run that `torchrun` started: who does what, and how their sums are joined.

It does not know what is summed. A run of its own is one rank, for which nothing is sent.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

Told = TypeVar("Told")

_PATIENCE: Final = timedelta(days=1)
"""A rank waits so long for another, which may be downloading a base; `torchrun` ends the others of
one that is gone."""


def is_one_of_many() -> bool:
    """Whether `torchrun` started this process beside others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together."""

    rank: int = 0
    size: int = 1
    is_even: bool = False
    """All ranks go through the network together and equally often, since each has but a part of
    it; whoever has nothing to do goes along."""

    @property
    def is_first(self) -> bool:
        """The first rank reads and writes the cache, and speaks for all."""
        return self.rank == 0

    def mine(self, count: int) -> list[int | None]:
        """Which of so many packs this rank does; None where it only goes along."""
        own: list[int | None] = list(range(self.rank, count, self.size))
        most = -(-count // self.size) if self.is_even else 0
        return own + [None] * (most - len(own))

    def add(self, tensor: Tensor) -> None:
        """Puts the sum over all ranks in the tensor's place, the same bits on each."""
        if self.size > 1:
            dist.all_reduce(tensor)

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Sums every parameter's gradient over the ranks, in one transfer."""
        if self.size == 1:
            return
        flat = torch.cat(
            [
                torch.zeros_like(one).view(-1) if one.grad is None else one.grad.view(-1)
                for one in parameters
            ]
        )
        dist.all_reduce(flat)
        parts = flat.split([one.numel() for one in parameters])  # type: ignore[no-untyped-call]
        for one, part in zip(parameters, parts, strict=True):
            one.grad = part.view_as(one)

    def from_first(self, value: Told) -> Told:
        """What the first rank has; others' own value is dropped."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def give(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Puts the first rank's values into every rank's parameters."""
        if self.size > 1:
            for one in parameters:
                dist.broadcast(one.data, src=0)

    @contextmanager
    def file_from_first(self, file: Path | None) -> Iterator[Path | None]:
        """The first rank's file, as a copy on the others as long as the block lasts."""
        if self.size == 1:
            yield file
            return
        content = self.from_first(file.read_bytes() if file else None)
        if self.is_first or content is None:
            yield file if self.is_first else None
            return
        with TemporaryDirectory() as folder:
            copy = Path(folder) / "copy"
            copy.write_bytes(content)
            yield copy

    def all_agree(self, value: str) -> bool:
        """Whether every rank has the same text."""
        if self.size == 1:
            return True
        values: list[str] = [""] * self.size
        dist.all_gather_object(values, value)
        return len(set(values)) == 1

    def wait(self) -> None:
        """Until every rank is here."""
        self.from_first(None)


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Joins the ranks that were started together, until the end of the block."""
    if not is_one_of_many():
        yield Ranks()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def local_rank() -> int:
    """Which of this machine's devices is this process's."""
    return int(os.environ.get("LOCAL_RANK", "0"))
