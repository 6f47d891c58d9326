"""How much memory a model will take, before it is loaded, and how much there is.

It does not know llama.cpp: numbers of the model's metadata come in, bytes go out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

GIB: Final = 1024**3
_F16: Final = 2
_F32: Final = 4


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a model that decide about memory."""

    size_bytes: int
    n_layer: int
    n_embd: int
    n_head: int
    n_head_kv: int
    n_ff: int
    n_vocab: int
    key_length: int
    value_length: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes for the weights, the KV cache and the working memory."""

    weights: int
    kv_cache: int
    compute: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.kv_cache + self.compute

    def share(self, of_layers: float) -> Estimate:
        """What a part of the layers takes; the working memory stays whole."""
        weights, kv_cache = self.weights * of_layers, self.kv_cache * of_layers
        return Estimate(int(weights), int(kv_cache), self.compute)


def estimate(shape: Shape, n_ctx: int, n_batch: int) -> Estimate:
    """What the model takes at this context and batch size, the cache in 16 bits."""
    per_token = shape.n_layer * shape.n_head_kv * (shape.key_length + shape.value_length) * _F16
    widest = max(shape.n_vocab, shape.n_head * min(n_ctx, n_batch)) + 2 * shape.n_ff
    compute = n_batch * (widest + 4 * shape.n_embd) * _F32
    return Estimate(shape.size_bytes, n_ctx * per_token, compute)


def shortage(need: Estimate, *, total: int | None, available: int | None) -> str:
    """One sentence if it cannot fit, "" if it can or nobody knows.

    Weights are mapped from the file and may come and go with the page cache; the rest must be free.
    """
    if total is not None and need.total > total:
        advice = "take a smaller model or context"
        return f"{_spelled(need)}, but this machine has {_gib(total)}: {advice}."
    working = need.kv_cache + need.compute
    if available is not None and working > available:
        return f"{_spelled(need)}, but only {_gib(available)} are free: take a smaller context."
    return ""


def gpu_shortage(need: Estimate, free: int) -> str:
    """One sentence if the whole model cannot fit on a GPU with `free` bytes, "" if it can."""
    if need.total <= free:
        return ""
    return (
        f"{_spelled(need)}, but the GPU has {_gib(free)} free: "
        "take a smaller model or context, or put fewer layers on the GPU."
    )


def machine_memory() -> tuple[int | None, int | None]:
    """Total and available bytes of this machine, as far as it tells."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        kib = {key: int(value.split()[0]) for key, _, value in (x.partition(":") for x in lines)}
        return kib["MemTotal"] * 1024, kib["MemAvailable"] * 1024
    except (OSError, KeyError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None
    except (AttributeError, OSError, ValueError):
        return None, None


def _spelled(need: Estimate) -> str:
    parts = (
        f"weights {_gib(need.weights)}, context {_gib(need.kv_cache)}, work {_gib(need.compute)}"
    )
    return f"The model needs about {_gib(need.total)} of memory ({parts})"


def _gib(count: int) -> str:
    return f"{count / GIB:.1f} GiB"
