"""Every row that can be measured, in the order of measuring.

It does not know how any of them is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from shoritui.bench.distance import logits_distance_exact, logits_distance_shift
from shoritui.bench.full_context import full_context
from shoritui.bench.lab import Lab
from shoritui.bench.resume import resume
from shoritui.bench.scoring import score_extra_decodes
from shoritui.bench.speed import decode_vs_c, decode_vs_high_level
from shoritui.bench.turns import evaluated_per_new
from shoritui.bench.waiting import cancel, swipe, type_ahead
from shoritui.rows import Benchmark, Figure

Measurement: TypeAlias = Benchmark[Callable[[Lab], Awaitable[Mapping[str, Figure]]]]

MEASUREMENTS: Final[tuple[Measurement, ...]] = (
    decode_vs_c,
    decode_vs_high_level,
    full_context,
    evaluated_per_new,
    swipe,
    resume,
    type_ahead,
    cancel,
    score_extra_decodes,
    logits_distance_exact,
    logits_distance_shift,
)
