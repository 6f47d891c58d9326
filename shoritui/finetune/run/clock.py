"""How long a run has worked, how long is left, and how much memory it holds.

It does not know what is trained.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path

import torch


class Clock:
    """Counts tokens against seconds, evaluation and saving included."""

    def __init__(self, tokens: int) -> None:
        """`tokens` are all that the run will read for training."""
        self._left = tokens
        self._done = 0
        self._begun = time.monotonic()
        self.steps = 0
        """Steps that this run has done."""

    @property
    def seconds(self) -> float:
        """Since work began."""
        return time.monotonic() - self._begun

    @property
    def seconds_left(self) -> float:
        """If the rest goes as what was done so far."""
        return self.seconds / self._done * self._left if self._done else 0.0

    def read(self, tokens: int) -> None:
        """A step with so many tokens is done."""
        self.steps += 1
        self._done += tokens
        self._left = max(self._left - tokens, 0)


def reset_memory(device: torch.device) -> None:
    """Begins to look for the peak anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def memory_used(device: torch.device) -> int:
    """Bytes: the peak of a GPU since it was reset, or what this process holds in main memory.

    On a system that has no way to tell, 0.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0
    import resource  # Windows has none

    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
