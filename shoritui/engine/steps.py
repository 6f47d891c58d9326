"""Which steps the sampler values make, in which order, with which numbers.

It does not know how a step is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shoritui.engine.sampling import Sampling

MIROSTAT_TOP_K: Final = 1000
"""What Mirostat looks at where no top-k is set: the rest costs time and is never drawn."""
ADAPTIVE_MIN_P: Final = 0.02
"""What adaptive-p chooses among where no min-p is set: it likes rare tokens, all of them alike."""
_LARGEST_SEED: Final = 2**32 - 2
_NEUTRAL: Final = Sampling()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the chain: llama.cpp's name for it and its numbers."""

    name: str
    values: tuple[float, ...] = ()


def chain(sampling: Sampling, seed: int) -> tuple[Step, ...]:
    """The steps that are not neutral, in their order; the last one draws the token."""
    steps = [step for name in sampling.order if (step := _step(sampling, name, seed))]
    return (*steps, _draw(sampling, seed))


def _step(sampling: Sampling, name: str, seed: int) -> Step | None:
    match name:
        case "penalties":
            return _penalties(sampling)
        case "dry":
            return _dry(sampling)
        case "xtc":
            return _xtc(sampling, seed)
        case "temperature":
            return _temperature(sampling)
    value: float = getattr(sampling, name)
    if name == "top_k" and sampling.mirostat and not value:
        value = MIROSTAT_TOP_K
    if name == "min_p" and sampling.adaptive_target and not value:
        value = ADAPTIVE_MIN_P
    return None if value == getattr(_NEUTRAL, name) else Step(name, (value,))


def _penalties(sampling: Sampling) -> Step | None:
    strengths = (
        sampling.repeat_penalty,
        sampling.frequency_penalty,
        sampling.presence_penalty,
    )
    active = strengths != (1.0, 0.0, 0.0) and sampling.penalty_window > 0
    return Step("penalties", (sampling.penalty_window, *strengths)) if active else None


def _dry(sampling: Sampling) -> Step | None:
    if not sampling.dry_multiplier or not sampling.dry_window:
        return None
    return Step(
        "dry",
        (
            sampling.dry_multiplier,
            sampling.dry_base,
            sampling.dry_allowed_length,
            sampling.dry_window,
        ),
    )


def _xtc(sampling: Sampling, seed: int) -> Step | None:
    if not sampling.xtc_probability:
        return None
    other_seed = (seed + 1) % _LARGEST_SEED  # with the drawing's own, one would tell the other
    return Step("xtc", (sampling.xtc_probability, sampling.xtc_threshold, other_seed))


def _temperature(sampling: Sampling) -> Step | None:
    if sampling.temperature == 0:
        return None  # `_draw` is greedy then
    if sampling.dynatemp_range:
        return Step(
            "dynamic_temperature",
            (sampling.temperature, sampling.dynatemp_range, sampling.dynatemp_exponent),
        )
    return None if sampling.temperature == 1 else Step("temperature", (sampling.temperature,))


def _draw(sampling: Sampling, seed: int) -> Step:
    if sampling.temperature == 0:
        return Step("greedy")
    if sampling.mirostat:
        return Step("mirostat", (seed, sampling.mirostat_tau, sampling.mirostat_eta))
    if sampling.adaptive_target:
        return Step("adaptive_p", (seed, sampling.adaptive_target, sampling.adaptive_decay))
    return Step("dist", (seed,))
