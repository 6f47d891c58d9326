"""Where layers' inputs wait in main memory between the way there and the way back.

On a GPU copies run beside the computation, over pinned memory and a stream of their own.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


class Parking:
    """Inputs of one micro-step's layers; they leave in the opposite order."""

    def __init__(self, device: torch.device) -> None:
        self._parked: dict[int, Tensor] = {}
        self._fetched: dict[int, Tensor] = {}
        self._stream = _copying(device) if device.type == "cuda" else None
        self._device = device

    def park(self, layer: int, x: Tensor) -> None:
        """Copies it out of a GPU; the caller drops it."""
        if self._stream is None:
            self._parked[layer] = x
            return
        self._parked[layer] = torch.empty(x.shape, dtype=x.dtype, pin_memory=True)
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            self._parked[layer].copy_(x, non_blocking=True)
        # So that x's memory is not used again before the copy is through.
        x.record_stream(self._stream)

    def fetch(self, layer: int) -> Tensor:
        """Brings it back, and begins to bring the one below."""
        if self._stream is None:
            return self._parked.pop(layer)
        self._begin(layer)
        torch.cuda.current_stream().wait_stream(self._stream)
        x = self._fetched.pop(layer)
        x.record_stream(torch.cuda.current_stream())
        self._begin(layer - 1)
        return x

    def _begin(self, layer: int) -> None:
        if layer not in self._parked or self._stream is None:
            return
        with torch.cuda.stream(self._stream):
            self._fetched[layer] = self._parked[layer].to(self._device, non_blocking=True)
        # Pinned memory goes back to a pool that waits for copies, so it may be dropped here.
        del self._parked[layer]


@cache
def _copying(device: torch.device) -> torch.cuda.Stream:
    """The one stream of a device that copies: PyTorch keeps freed memory for each stream apart."""
    return torch.cuda.Stream(device=device)  # type: ignore[no-untyped-call]
