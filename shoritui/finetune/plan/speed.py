"""How fast this machine trains: as an earlier run of the config did, or from one matrix product."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import torch

from shoritui.bounded import read_json
from shoritui.files import open_file
from shoritui.finetune.config.model import Config
from shoritui.finetune.events import METRICS
from shoritui.finetune.plan.step_memory import Peak

SHARE: Final = {"cuda": 0.6, "cpu": 0.6}
"""What a step reaches of the speed of its matrix products, by kind of device."""
_FEWEST: Final = 4
"""Steps of earlier runs that tell the speed."""
_SIZE: Final = {"cuda": 8192, "cpu": 1024}
_TYPES: Final = {"cuda": torch.bfloat16, "cpu": torch.float32}


@dataclass(frozen=True, slots=True)
class Speed:
    """The speed of training; one of the two is known, if anything is."""

    tokens: float
    """A second, as they were read in an earlier run; 0 if there was none."""
    operations: float
    """Floating point operations a second, as a step reaches them; 0 if not known."""
    source: str
    """How it is known, for people."""

    def seconds(self, peak: Peak, lengths: list[list[int]]) -> float | None:
        """Return the seconds of training on packs, each given by its documents' lengths."""
        if self.tokens:
            return sum(map(sum, lengths)) / self.tokens
        if not self.operations:
            return None
        products = peak.work.products / peak.tokens * sum(map(sum, lengths))
        squares = sum(length**2 for pack in lengths for length in pack)
        return (products + peak.work.attention / peak.tokens**2 * squares) / self.operations


def speed_of(config: Config | None, device: torch.device) -> Speed:
    """Return what is known of a config's speed on a device; measured if nothing is."""
    if config is not None and (tokens := _recorded(config.path.parent / config.output / METRICS)):
        return Speed(tokens, 0.0, f"the last run read {tokens:,.0f} tokens per second")
    reached = _product(device)
    share = SHARE[device.type]
    return Speed(
        tokens=0.0,
        operations=reached * share,
        source=f"this machine multiplies matrices at {reached / 1e12:,.2g} TFLOP/s, and a step "
        f"reaches about {share:.0%} of that",
    )


def _recorded(path: Path) -> float:
    """Tokens a second of the steps in a metrics.jsonl, as most went; 0 with too few to tell.

    The first step of a run, which allocates and compiles, takes many times as long as others.
    """
    speeds = []
    try:
        with open_file(path) as file:
            for line in file:
                event = read_json(line)
                if event["event"] == "stepped":
                    speeds.append(int(event["tokens"]) / float(event["seconds"]))
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return 0.0
    return median(speeds) if len(speeds) >= _FEWEST else 0.0


def _product(device: torch.device) -> float:
    """Operations a second of a matrix product, the best of a few."""
    size = _SIZE[device.type]
    one = torch.ones(size, size, dtype=_TYPES[device.type], device=device)
    best = 0.0
    for _ in range(4):
        begun = time.perf_counter()
        torch.mm(one, one)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - begun))
    return best
