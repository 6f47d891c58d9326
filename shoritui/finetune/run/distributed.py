"""The ranks of a run that `torchrun` started: their sums joined, a base shared out over them.

A run of its own is one rank, for which nothing is sent. Where the frozen base is shared out, each
rank holds a part of every matrix; a matrix is put together where it is used and let go at once, and
all ranks ask for the same ones in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Final, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from shoritui.errors import UserError
from shoritui.files import content_of, temporary_folder
from shoritui.finetune.model.weights import Dense, Frozen, Nf4

Value = TypeVar("Value")

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
        """Put the sum over all ranks in the tensor's place, the same bits on each."""
        if self.size > 1:
            dist.all_reduce(tensor)

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Sum every parameter's gradient over the ranks, in one transfer."""
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

    def from_first(self, value: Value) -> Value:
        """What the first rank has; others' own value is dropped."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def give(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Put the first rank's values into every rank's parameters."""
        if self.size > 1:
            for one in parameters:
                dist.broadcast(one.data, src=0)

    @contextmanager
    def file_from_first(self, file: Path | None) -> Iterator[Path | None]:
        """The first rank's file, as a copy on the others as long as the block lasts."""
        if self.size == 1:
            yield file
            return
        content = self.from_first(content_of(file) if file else None)
        if self.is_first or content is None:
            yield file if self.is_first else None
            return
        with temporary_folder() as folder:
            copy = folder / "copy"
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
    """Join the ranks that were started together, until the end of the block."""
    if not is_one_of_many():
        yield Ranks()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Its functions take the group of when it is imported as their default, and keep it for ever:
    # were it imported later (torch._dynamo does), the group's threads would outlive the interpreter
    # and now and then abort the process.
    import_module("torch.distributed.nn.functional")
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


@dataclass(frozen=True, slots=True)
class Part:
    """One rank's share of a matrix."""

    empty: Dense | Nf4
    """The matrix without its numbers."""
    shape: torch.Size
    """Of the numbers, as they are held."""
    dtype: torch.dtype
    part: Tensor
    """Bytes; each rank has as many."""
    ranks: int

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What this rank holds."""
        return (self.part, *self.empty.tensors)

    def dense(self, dtype: torch.dtype) -> Tensor:
        """The whole matrix; a transfer between all ranks."""
        gathered = torch.empty(
            self.ranks * self.part.numel(), dtype=torch.uint8, device=self.part.device
        )
        dist.all_gather_into_tensor(gathered, self.part)
        size = self.shape.numel() * self.dtype.itemsize
        numbers = gathered[:size].view(self.dtype).view(self.shape)
        return _with(self.empty, numbers).dense(dtype)


def shared(matrix: Frozen, ranks: Ranks) -> Frozen:
    """This rank's part of a matrix that every rank has read; the rest is let go.

    Raises:
        UserError: It is held in a way that cannot be shared out.
    """
    if not isinstance(matrix, Dense | Nf4):
        raise UserError('This base cannot be shared out: set sharding = "none" in [watch].')
    numbers = matrix.weight if isinstance(matrix, Dense) else matrix.packed
    flat = numbers.contiguous().view(-1).view(torch.uint8)
    # A multiple of 16 bytes, so that what is gathered is aligned for any type.
    size = -(-flat.numel() // (ranks.size * 16)) * 16
    part = torch.zeros(size, dtype=torch.uint8, device=flat.device)
    own = flat[ranks.rank * size : (ranks.rank + 1) * size]
    part[: own.numel()] = own
    empty = _with(matrix, numbers.new_empty(0))
    return Part(empty, numbers.shape, numbers.dtype, part, ranks.size)


def spared(matrices: Iterable[Frozen]) -> int:
    """Bytes that this rank need not have for these matrices, of which one is whole at a time."""
    parts = [matrix for matrix in matrices if isinstance(matrix, Part)]
    largest = max((each.ranks * each.part.numel() for each in parts), default=0)
    return max(sum((each.ranks - 1) * each.part.numel() for each in parts) - largest, 0)


def _with(matrix: Dense | Nf4, numbers: Tensor) -> Dense | Nf4:
    if isinstance(matrix, Dense):
        return replace(matrix, weight=numbers)
    return replace(matrix, packed=numbers)
