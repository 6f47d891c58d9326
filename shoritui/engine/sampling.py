"""How the next token is chosen: the sampler values, their order, their limits.

It does not know llama.cpp; `samplers.py` builds what `chain` lists, one to one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Final, Literal

from shoritui.errors import UserError

ORDER: Final = ("penalties", "top_k", "typical_p", "top_p", "min_p", "temperature")
"""The steps before the token is drawn, in the order that most programs use."""

_INTEGER_LIMITS: Final = {
    "top_k": (0, 1_000_000),
    "penalty_window": (0, 1_000_000),
    "mirostat": (0, 2),
    "seed": (0, 2**32 - 2),  # llama.cpp reads 2**32 - 1 as "draw a seed"
}
_NUMBER_LIMITS: Final = {
    "temperature": (0.0, 20.0),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "typical_p": (0.0, 1.0),
    "repeat_penalty": (0.1, 10.0),
    "frequency_penalty": (-10.0, 10.0),
    "presence_penalty": (-10.0, 10.0),
    "mirostat_tau": (0.0, 20.0),
    "mirostat_eta": (0.0, 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Sampler values; the defaults are neutral. Out of range: `UserError`."""

    temperature: float = 1.0
    """Above 1 flattens the choice, below 1 sharpens it, 0 always takes the likeliest token."""
    top_k: int = 0
    """Keep only this many of the likeliest tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the likeliest tokens that together reach this probability; 1 keeps all."""
    min_p: float = 0.0
    """Drop tokens less likely than this share of the likeliest one; 0 drops none."""
    typical_p: float = 1.0
    """Keep the tokens closest to the expected surprise, up to this probability; 1 keeps all."""
    repeat_penalty: float = 1.0
    """Divide the score of a token that already occurred; 1 changes nothing."""
    frequency_penalty: float = 0.0
    """Lower a token's score by this for each time it occurred."""
    presence_penalty: float = 0.0
    """Lower a token's score by this once if it occurred."""
    penalty_window: int = 1024
    """How many tokens of message text the three penalties look back on."""
    mirostat: Literal[0, 2] = 0
    """2 draws the token with Mirostat version 2, which steers towards a constant surprise."""
    mirostat_tau: float = 2.9
    """The surprise, in bits, that Mirostat aims at."""
    mirostat_eta: float = 0.019
    """How fast Mirostat corrects itself."""
    seed: int | None = None
    """The same seed gives the same text after the same prompt, if that was evaluated in the same
    steps: written once more, or first of all after a start. None draws a seed."""
    order: tuple[str, ...] = ORDER
    """The order of the steps; neutral ones do nothing wherever they stand."""

    def __post_init__(self) -> None:
        for name, limits in (_INTEGER_LIMITS | _NUMBER_LIMITS).items():
            _check(name, getattr(self, name), limits)
        if self.mirostat not in (0, 2):
            raise UserError(f"mirostat is {self.mirostat}: expected 0 (off) or 2.")
        if sorted(self.order) != sorted(ORDER):
            raise UserError(
                f"order is {_listed(self.order)}: expected each of {_listed(ORDER)} once."
            )


SETTINGS: Final = tuple(field.name for field in fields(Sampling))
"""The names of all sampler values."""


def changed(sampling: Sampling, values: Mapping[str, object]) -> Sampling:
    """The same sampling with some values replaced; an unknown name or bad value: `UserError`."""
    for name in values:
        if name not in SETTINGS:
            raise UserError(f"{name} is not a sampler value{did_you_mean(name)}")
    order = values.get("order", sampling.order)
    if not isinstance(order, list | tuple):
        raise UserError(f"order is {order!r}: expected a list of {_listed(ORDER)}.")
    return replace(sampling, **{**values, "order": tuple(map(str, order))})  # type: ignore[arg-type]


def did_you_mean(name: str) -> str:
    """`: did you mean min_p?`, or a full stop where no known name is near."""
    near = get_close_matches(name, SETTINGS, n=1)
    return f": did you mean {near[0]}?" if near else "."


@dataclass(frozen=True, slots=True)
class Step:
    """One sampler of the chain: llama.cpp's name for it and its numbers."""

    name: str
    values: tuple[float, ...] = ()


def chain(sampling: Sampling, seed: int) -> tuple[Step, ...]:
    """The samplers that are not neutral, in their order; the last one draws the token."""
    steps = [step for name in sampling.order if (step := _step(sampling, name))]
    return (*steps, _draw(sampling, seed))


def _step(sampling: Sampling, name: str) -> Step | None:
    if name == "penalties":
        strengths = (
            sampling.repeat_penalty,
            sampling.frequency_penalty,
            sampling.presence_penalty,
        )
        active = strengths != (1.0, 0.0, 0.0) and sampling.penalty_window > 0
        return Step(name, (sampling.penalty_window, *strengths)) if active else None
    value: float = getattr(sampling, name)
    if name == "temperature" and value == 0:
        return None  # `_draw` is greedy then
    neutral = getattr(_NEUTRAL, name)
    return None if value == neutral else Step(name, (value,))


def _draw(sampling: Sampling, seed: int) -> Step:
    if sampling.temperature == 0:
        return Step("greedy")
    if sampling.mirostat == 2:
        return Step("mirostat", (seed, sampling.mirostat_tau, sampling.mirostat_eta))
    return Step("dist", (seed,))


def _check(name: str, value: object, limits: tuple[float, float]) -> None:
    low, high = limits
    whole = name in _INTEGER_LIMITS
    if name == "seed" and value is None:
        return
    kind = "a whole number" if whole else "a number"
    allowed = int if whole else (int, float)
    is_number = isinstance(value, allowed) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]
        raise UserError(f"{name} is {value!r}: expected {kind} from {low:,} to {high:,}.")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)


_NEUTRAL: Final = Sampling()
