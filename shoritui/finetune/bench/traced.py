"""What the plan finds for a base, and how long it takes to find it."""

from __future__ import annotations

import time
from typing import Final

from shoritui.benchmark import Aim, Figure, benchmark
from shoritui.finetune.bench.lab import Lab
from shoritui.finetune.config.model import Base, Lora, Train
from shoritui.finetune.model.interface import Level
from shoritui.finetune.plan.step_memory import GIB, longest_context, peaks
from shoritui.text import size

TOKENS: Final = 16384
CARD: Final = 24 * GIB


@benchmark(
    Aim("traced_gib_lowest", "GiB", "<= 7"),
    Aim("traced_gib_fastest", "GiB", "<= 19"),
    Aim("plan_seconds", "s"),
)
def traced_peak(lab: Lab) -> dict[str, Figure]:
    """Of a pack that is one document."""
    begun, worked = time.perf_counter(), time.process_time()
    shape = lab.shape_or("mistral-7b")
    found = peaks(shape, Base(), Lora(), Train(), [lab.tokens or TOKENS])
    seconds, work = time.perf_counter() - begun, time.process_time() - worked
    low, fast = found[Level.OFFLOAD], found[Level.ATTENTION]
    figures = {}
    for name, peak in (("lowest", low), ("fastest", fast)):
        note = f"{peak.tokens:,} tokens; {size(peak.device)} with context and transfers"
        figures[f"traced_gib_{name}"] = Figure([peak.work.tensors / GIB], note)
    return {**figures, "plan_seconds": Figure([seconds], f"{work:.1f} s of processor time")}


@benchmark(Aim("longest_context_24gib", "tokens", ">= 131072"))
def longest(lab: Lab) -> dict[str, Figure]:
    """With all that is taken beside tensors."""
    cap = lab.cap or CARD
    found = longest_context(lab.shape_or("mistral-7b"), Base(), Lora(), Train(), cap)
    note = f"in {size(cap)}, with {size(found.work.host)} of main memory"
    return {"longest_context_24gib": Figure([found.tokens], note)}
