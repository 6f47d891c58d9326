"""The sampler chain: which steps the sampler values make, in which order, and what does each.

    logit bias, length guide ▸ penalties ▸ dry ▸ top_n_sigma ▸ top_k ▸ … ▸ xtc ▸ temperature ▸ draw

To add a sampler: give `Sampling` (`engine/sampling_params.py`) its values and `ORDER` its name;
say in `_step` here with which values it does something, and in `_BUILD` which of llama.cpp's
samplers does it. One that llama.cpp lacks is written in `python_samplers.py` and made in
`sampler.py`.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from shoritui.engine.llama.library import L
from shoritui.engine.sampling.llama_samplers import LlamaSampler
from shoritui.engine.sampling_params import Sampling

WORDS_ONLY: Final = ("xtc", "typical_p")
"""The steps that may drop the likeliest tokens, from which a message's end is kept."""
MIROSTAT_TOP_K: Final = 1000
"""What Mirostat looks at where no top-k is set: the rest costs time and is never drawn."""
ADAPTIVE_MIN_P: Final = 0.02
"""What adaptive-p chooses among where no min-p is set: it likes rare tokens, all of them alike."""
LARGEST_SEED: Final = 2**32 - 2
_NO_CHANCE: Final = 1e-30
"""Tokens that are less likely than the best one by this only stand in the way."""
_NEUTRAL: Final = Sampling()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the chain: llama.cpp's name for it and its numbers."""

    name: str
    values: tuple[float, ...] = ()


def steps(sampling: Sampling, seed: int) -> tuple[Step, ...]:
    """The steps that are not neutral, in their order; the last one draws the token."""
    found = [step for name in sampling.order if (step := _step(sampling, name, seed))]
    return (*found, _draw(sampling, seed))


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
    strengths = (sampling.repeat_penalty, sampling.frequency_penalty, sampling.presence_penalty)
    active = strengths != (1.0, 0.0, 0.0) and sampling.penalty_window > 0
    return Step("penalties", (sampling.penalty_window, *strengths)) if active else None


def _dry(sampling: Sampling) -> Step | None:
    if not sampling.dry_multiplier or not sampling.dry_window:
        return None
    strength = (sampling.dry_multiplier, sampling.dry_base)
    return Step("dry", (*strength, sampling.dry_allowed_length, sampling.dry_window))


def _xtc(sampling: Sampling, seed: int) -> Step | None:
    if not sampling.xtc_probability:
        return None
    other_seed = (seed + 1) % LARGEST_SEED  # with the drawing's own, one would tell the other
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


def first_cut(steps: Sequence[Step]) -> tuple[dict[str, Any], list[Step]]:
    """Return what `Candidates.gather` does for these steps, and the steps that are left to do.

    Where min-p or top-k is the first to drop tokens, nobody needs to handle those that it drops.
    """
    temperature = 1.0
    for index, step in enumerate(steps):
        rest = [*steps[:index], *steps[index + 1 :]]
        match step:
            case Step("temperature", (value,)):
                temperature *= value
            case Step("min_p", (value,)) if value < 1:
                return {"below_best": np.float32(-temperature * math.log(value))}, rest
            case Step("top_k", (value,)):
                return {"likeliest": int(value)}, rest
            case _:
                break
    return {}, list(steps)


def build(step: Step, n_vocab: int) -> list[LlamaSampler]:
    """Build the samplers that do one step, one after the other."""
    handles = []
    if step.name == "typical_p":  # one without any chance would make the entropy no number
        handles.append(L.llama_sampler_init_min_p(_NO_CHANCE, 1))
    handles.append(_BUILD[step.name](n_vocab, *step.values))
    if step.name == "top_n_sigma":  # it leaves what it drops, without any chance
        handles.append(L.llama_sampler_init_min_p(_NO_CHANCE, 1))
    return [LlamaSampler(handle) for handle in handles]


def build_dry(vocab: Any, values: Sequence[float], breakers: Sequence[str]) -> LlamaSampler:
    """DRY, whose sequences end at these texts; it takes milliseconds to build."""
    multiplier, base, allowed_length, window = values
    texts = [breaker.encode() for breaker in breakers]
    array = (ctypes.c_char_p * len(texts))(*texts)
    return LlamaSampler(
        L.llama_sampler_init_dry(
            vocab, multiplier, base, int(allowed_length), int(window), array, len(texts)
        )
    )


_BUILD: Final[dict[str, Callable[..., Any]]] = {
    "penalties": lambda n_vocab, window, *values: L.llama_sampler_init_penalties(
        n_vocab, int(window), *values
    ),
    "top_n_sigma": lambda _, n: L.llama_sampler_init_top_n_sigma(n),
    "top_k": lambda _, k: L.llama_sampler_init_top_k(int(k)),
    "typical_p": lambda _, p: L.llama_sampler_init_typical(p, 1),
    "top_p": lambda _, p: L.llama_sampler_init_top_p(p, 1),
    "min_p": lambda _, p: L.llama_sampler_init_min_p(p, 1),
    "xtc": lambda _, p, threshold, seed: L.llama_sampler_init_xtc(p, threshold, 1, int(seed)),
    "temperature": lambda _, t: L.llama_sampler_init_temp(t),
    "dynamic_temperature": lambda _, t, reach, exponent: L.llama_sampler_init_temp_ext(
        t, reach, exponent
    ),
    "greedy": lambda _: L.llama_sampler_init_greedy(),
    "dist": lambda _, seed: L.llama_sampler_init_dist(int(seed)),
}
