"""Count the bytes and the work of a piece of PyTorch code, operation by operation, as it runs.

On the device `meta` nothing is computed, so no GPU is needed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

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
        """Bytes of pinned memory now, by `park` and `unpark`."""
        self.host_peak = 0
        self.products = 0
        """Floating point operations of matrix products since the last `forget`."""
        self.attention = 0
        """The same of attention, the masked half not counted."""
        self._known: set[int] = set()

    def forget(self) -> None:
        """Begin anew: the peak is what is live now, and no work was done."""
        self.peak, self.where = self.live, ""
        self.host_peak = self.host
        self.products = self.attention = 0

    def park(self, size: int) -> None:
        """Count so many bytes as pinned; PyTorch's allocator rounds them up to a power of two."""
        self.host += _pinned(size)
        self.host_peak = max(self.host_peak, self.host)

    def unpark(self, size: int) -> None:
        """Count so many bytes as free again."""
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
        if packet in _FLOPS:
            flops = _FLOPS[packet](*args, **(kwargs or {}), out_val=made)
            if "attention" in str(packet):
                self.attention += flops // 2  # the formulas count what causal attention masks
            else:
                self.products += flops
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


_FLASH_BACKWARD: Final = aten._scaled_dot_product_flash_attention_backward
_FLOPS: Final[Mapping[Any, Callable[..., int]]] = {
    **flop_registry,
    aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[
        aten._scaled_dot_product_flash_attention
    ],
    aten._scaled_dot_product_flash_attention_for_cpu_backward: flop_registry[_FLASH_BACKWARD],
}
"""PyTorch's formulas. `FlopCounterMode`, which uses them, does not know the CPU's kernels, takes up
to twice as long, and keeps tensors alive for longer, which would change the peak."""


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
