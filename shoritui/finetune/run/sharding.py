"""A frozen base that is shared out over ranks: each holds a part of every matrix.

It does not know layers. A matrix is put together where it is used, and let go at once; all ranks
ask for the same ones in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch import distributed as dist

from shoritui.errors import UserError
from shoritui.finetune.model.weights import Dense, Frozen, Nf4
from shoritui.finetune.run.distributed import Ranks


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
