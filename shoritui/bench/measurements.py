"""Every row that can be measured, in the order of measuring."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from shoritui.bench.distance import logits_distance_exact, logits_distance_shift
from shoritui.bench.full_context import full_context, full_context_vs_llama_server
from shoritui.bench.lab import Lab
from shoritui.bench.latency import cancel, resume, score_extra_decodes, swipe, type_ahead
from shoritui.bench.speed import decode_vs_c, decode_vs_high_level, own_time
from shoritui.bench.turns import evaluated_per_new
from shoritui.benchmark import Benchmark, Figure

Measurement: TypeAlias = Benchmark[Callable[[Lab], Awaitable[Mapping[str, Figure]]]]

MEASUREMENTS: Final[tuple[Measurement, ...]] = (
    decode_vs_c,
    decode_vs_high_level,
    own_time,
    full_context,
    full_context_vs_llama_server,
    evaluated_per_new,
    swipe,
    resume,
    type_ahead,
    cancel,
    score_extra_decodes,
    logits_distance_exact,
    logits_distance_shift,
)
