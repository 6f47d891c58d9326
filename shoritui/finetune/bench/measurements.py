"""Every benchmark of the training step, in the order of measuring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from shoritui.benchmark import Benchmark, Figure
from shoritui.finetune.bench.cpu import processor, small_base
from shoritui.finetune.bench.equality import equality
from shoritui.finetune.bench.gpu import (
    against_peft,
    equality_on_gpu,
    inside,
    levels,
    long_document,
)
from shoritui.finetune.bench.lab import Lab
from shoritui.finetune.bench.traced import longest, traced_peak

Measurement: TypeAlias = Benchmark[Callable[[Lab], Mapping[str, Figure]]]

MEASUREMENTS: Final[tuple[Measurement, ...]] = (
    *(equality, processor, small_base, traced_peak, longest),
    *(equality_on_gpu, levels, against_peft, inside, long_document),
)
