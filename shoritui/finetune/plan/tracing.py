"""Counts the bytes and the work of a piece of PyTorch code, operation by operation, as it runs.

It does not know what runs: on the device `meta` nothing is computed, and no GPU is needed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten


class Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Live and highest bytes of the storages that operations make while it is entered.

    Memory that an operation takes and gives back inside itself is not seen, but for what flash
    attention's backward pass is known to take.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        """Bytes on the device now."""
        self.peak = 0
        """The most that it was since the last `forget`."""
        self.where = ""
        """The operation at which that was."""
        self.host = 0
        """Bytes of pinned memory now, as told by `park` and `unpark`."""
        self.host_peak = 0
        self.products = 0
        """Floating point operations of matrix products since the last `forget`."""
        self.attention = 0
        """The same of attention, the masked half not counted."""
        self._known: set[int] = set()

    def forget(self) -> None:
        """Begins anew: the peak is what is live now, and no work was done."""
        self.peak, self.where = self.live, ""
        self.host_peak = self.host
        self.products = self.attention = 0

    def park(self, size: int) -> None:
        """So many bytes are pinned; PyTorch's allocator rounds them up to a power of two."""
        self.host += _pinned(size)
        self.host_peak = max(self.host_peak, self.host)

    def unpark(self, size: int) -> None:
        """They are free again."""
        self.host -= _pinned(size)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, Tensor):
                self._add(one)
        packet = func.overloadpacket
        if (reached := self.live + _workspace(packet, args)) > self.peak:
            self.peak, self.where = reached, str(packet).removeprefix("aten.")
        if packet in _PRODUCTS:
            self.products += _PRODUCTS[packet](args)
        elif packet in _ATTENTION:
            place, products = _ATTENTION[packet]
            self.attention += products * _scores(args[place], args[place + 1])
        return made

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = id(storage)
        if key not in self._known:
            size = storage.nbytes()
            self._known.add(key)
            self.live += size
            weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


_PRODUCTS: Final[Mapping[Any, Callable[[Any], int]]] = {
    aten.mm: lambda args: 2 * args[0].numel() * args[1].shape[-1],
    aten.bmm: lambda args: 2 * args[0].numel() * args[1].shape[-1],
    aten.addmm: lambda args: 2 * args[1].numel() * args[2].shape[-1],
    aten.baddbmm: lambda args: 2 * args[1].numel() * args[2].shape[-1],
}
_FLASH_BACKWARD: Final = aten._scaled_dot_product_flash_attention_backward
_ATTENTION: Final[Mapping[Any, tuple[int, int]]] = {
    aten._scaled_dot_product_flash_attention: (0, 2),
    aten._scaled_dot_product_flash_attention_for_cpu: (0, 2),
    aten._scaled_dot_product_efficient_attention: (0, 2),
    _FLASH_BACKWARD: (1, 5),
    aten._scaled_dot_product_flash_attention_for_cpu_backward: (1, 5),
    aten._scaled_dot_product_efficient_attention_backward: (1, 5),
}
"""Where the query is among the arguments, and how many products are computed: on the way back the
scores are made again."""


def _scores(query: Tensor, key: Tensor) -> int:
    """Operations of one product of attention in which no token looks ahead."""
    return query.numel() * key.shape[2]


def _workspace(packet: Any, args: tuple[Any, ...]) -> int:
    """Bytes that flash attention's backward pass takes for itself.

    It sums the query's gradient in fp32, keeps a number a row, and gives every query head a
    key's and a value's gradient of its own where they are shared.
    """
    if packet is not _FLASH_BACKWARD:
        return 0
    query, key = args[1:3]
    rows = query.numel() // query.shape[-1]
    own = 2 * query.numel() * query.element_size() if key.shape[1] != query.shape[1] else 0
    return int(4 * query.numel() + 4 * rows + own)


def _pinned(size: int) -> int:
    return 1 << (size - 1).bit_length()
