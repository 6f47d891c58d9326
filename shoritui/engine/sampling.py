"""How the next token is chosen: the sampler values, their order, their limits.

It does not know llama.cpp; `steps.py` says which steps the values make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Final, Literal

from shoritui.errors import UserError

ORDER: Final = (
    "penalties",
    "dry",
    "top_n_sigma",
    "top_k",
    "typical_p",
    "top_p",
    "min_p",
    "xtc",
    "temperature",
)
"""The steps between the logit bias, always the first, and the drawing, always the last, in the
order that most programs use."""

BREAKERS: Final = ("\n", ":", '"', "*", "_")
"""Texts at which DRY's sequences end, beside block marks, message borders and the cast's names."""

_INTEGER_LIMITS: Final = {
    "top_k": (0, 1_000_000),
    "penalty_window": (0, 1_000_000),
    "dry_allowed_length": (1, 1000),
    "dry_window": (0, 1_000_000),
    "mirostat": (0, 2),
    "seed": (0, 2**32 - 2),  # llama.cpp reads 2**32 - 1 as "draw a seed"
}
_NUMBER_LIMITS: Final = {
    "temperature": (0.0, 20.0),
    "dynatemp_range": (0.0, 20.0),
    "dynatemp_exponent": (0.0, 10.0),
    "top_n_sigma": (0.0, 20.0),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "typical_p": (0.0, 1.0),
    "xtc_probability": (0.0, 1.0),
    "xtc_threshold": (0.0, 0.5),
    "repeat_penalty": (0.1, 10.0),
    "frequency_penalty": (-10.0, 10.0),
    "presence_penalty": (-10.0, 10.0),
    "dry_multiplier": (0.0, 10.0),
    "dry_base": (1.0, 10.0),
    "mirostat_tau": (0.0, 20.0),
    "mirostat_eta": (0.0, 1.0),
    "adaptive_target": (0.0, 1.0),
    "adaptive_decay": (0.0, 0.99),
}
_TEXTS: Final = ("banned", "dry_breakers")
_BIAS_LIMITS: Final = (-100.0, 100.0)
_LONGEST_TEXT: Final = 200
_MARKS: Final = ("▀", "▄")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Sampler values; the defaults are neutral. Out of range: `UserError`.

    Whatever the values, a message can end: no step but those that keep the likeliest tokens ever
    takes the end's own probability from it.
    """

    temperature: float = 1.0
    """Above 1 flattens the choice, below 1 sharpens it, 0 always takes the likeliest token."""
    dynatemp_range: float = 0.0
    """Dynamic temperature: how far it moves down where the model is sure and up where it is not; 0
    keeps it still."""
    dynatemp_exponent: float = 1.0
    """Above 1 dynamic temperature stays low for longer while the model grows unsure."""
    top_k: int = 0
    """Keep only this many of the likeliest tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the likeliest tokens that together reach this probability; 1 keeps all."""
    min_p: float = 0.0
    """Drop tokens less likely than this share of the likeliest one; 0 drops none."""
    top_n_sigma: float = 0.0
    """Drop tokens whose score is more than so many standard deviations below the best; 0 drops
    none."""
    typical_p: float = 1.0
    """Keep the tokens closest to the expected surprise, up to this probability; 1 keeps all."""
    xtc_probability: float = 0.0
    """How often the likeliest words are dropped (XTC): all above the threshold but the last."""
    xtc_threshold: float = 0.1
    """How likely a word must be for XTC to count it among the likeliest."""
    repeat_penalty: float = 1.0
    """Divide the score of a token that already occurred; 1 changes nothing."""
    frequency_penalty: float = 0.0
    """Lower a token's score by this for each time it occurred."""
    presence_penalty: float = 0.0
    """Lower a token's score by this once if it occurred."""
    penalty_window: int = 1024
    """How many tokens of message text the three penalties look back on."""
    dry_multiplier: float = 0.0
    """How strongly DRY lowers a token that would continue a repetition; 0 turns it off."""
    dry_base: float = 1.75
    """How fast DRY's penalty grows with each token that the repetition is longer."""
    dry_allowed_length: int = 2
    """The longest repetition, in tokens, that DRY leaves alone."""
    dry_window: int = 4096
    """How many tokens of message text DRY looks back on."""
    dry_breakers: tuple[str, ...] = BREAKERS
    """Texts at which a repetition ends for DRY, beside message borders and the cast's names."""
    mirostat: Literal[0, 2] = 0
    """2 draws the token with Mirostat version 2, which steers towards a constant surprise. Where no
    top_k is set, one of 1000 comes before it."""
    mirostat_tau: float = 2.9
    """The surprise, in bits, that Mirostat aims at."""
    mirostat_eta: float = 0.019
    """How fast Mirostat corrects itself."""
    adaptive_target: float = 0.0
    """Draw the words with adaptive-p, whose probabilities come near this on average; 0 turns it
    off. Where no min_p is set, one of 0.02 comes before it."""
    adaptive_decay: float = 0.9
    """How long adaptive-p remembers: about 1 / (1 - this) tokens."""
    logit_bias: tuple[tuple[str, float], ...] = ()
    """Texts of one token each, and what is added to their scores, with and without a space before
    them."""
    banned: tuple[str, ...] = ()
    """Words and phrases that are not written, in whatever case. Where one begins or ends with a
    letter, it is only meant as whole words."""
    seed: int | None = None
    """The same seed gives the same text after the same prompt, if that was evaluated in the same
    steps: written once more, or first of all after a start. None draws a seed."""
    order: tuple[str, ...] = ORDER
    """The order of the steps; neutral ones do nothing wherever they stand. Steps that are not named
    come after those that they usually come after."""

    def __post_init__(self) -> None:
        for name, limits in (_INTEGER_LIMITS | _NUMBER_LIMITS).items():
            _check_number(name, getattr(self, name), limits)
        for name in _TEXTS:
            for text in getattr(self, name):
                _check_text(name, text)
        for text, bias in self.logit_bias:
            _check_text("logit_bias", text)
            _check_number(f"logit_bias of {text!r}", bias, _BIAS_LIMITS)
        if self.mirostat not in (0, 2):
            raise UserError(f"mirostat is {self.mirostat}: expected 0 (off) or 2.")
        if self.mirostat and self.adaptive_target:
            raise UserError("mirostat and adaptive_target both draw the token: set one to 0.")
        object.__setattr__(self, "order", _complete(self.order))


SETTINGS: Final = tuple(field.name for field in fields(Sampling))
"""The names of all sampler values."""


def changed(sampling: Sampling, values: Mapping[str, object]) -> Sampling:
    """The same sampling with some values replaced; an unknown name or bad value: `UserError`.

    Lists of texts may be any sequence of texts, `logit_bias` also a mapping.
    """
    taken: dict[str, object] = {}
    for name, value in values.items():
        if name not in SETTINGS:
            raise UserError(f"{name} is not a sampler value{did_you_mean(name)}")
        if name == "logit_bias":
            taken[name] = _biases(value)
        elif name in _TEXTS or name == "order":
            taken[name] = _texts(name, value)
        else:
            taken[name] = value
    return replace(sampling, **taken)  # type: ignore[arg-type]


def did_you_mean(name: str, known: Sequence[str] = SETTINGS) -> str:
    """`: did you mean min_p?`, or a full stop where no known name is near."""
    near = get_close_matches(name, known, n=1)
    return f": did you mean {near[0]}?" if near else "."


def _complete(order: tuple[str, ...]) -> tuple[str, ...]:
    """The order with the steps it leaves out, each after the one that it usually comes after.

    So orders that were saved before a step was known stay good.
    """
    for name in order:
        if name not in ORDER:
            near = did_you_mean(name, ORDER)
            raise UserError(f"order names {name!r}{near if near != '.' else _expected_order()}")
        if order.count(name) > 1:
            raise UserError(f"order names {name} twice: each step is done once.")
    whole = list(order)
    for index, name in enumerate(ORDER):
        if name not in whole:
            before = whole.index(ORDER[index - 1]) if index else -1
            whole.insert(before + 1, name)
    return tuple(whole)


def _expected_order() -> str:
    return f": expected some of {', '.join(ORDER)}."


def _texts(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return tuple(value)
    what = _expected_order() if name == "order" else ": expected a list of texts."
    raise UserError(f"{name} is {value!r}{what}")


def _biases(value: object) -> tuple[tuple[str, float], ...]:
    if isinstance(value, Mapping):
        return tuple((str(text), bias) for text, bias in value.items())
    if isinstance(value, list | tuple) and all(
        isinstance(each, list | tuple) and len(each) == 2 for each in value
    ):
        return tuple((str(text), bias) for text, bias in value)
    raise UserError(f"logit_bias is {value!r}: expected texts, each with a number.")


def _check_number(name: str, value: object, limits: tuple[float, float]) -> None:
    low, high = limits
    whole = name in _INTEGER_LIMITS
    if name == "seed" and value is None:
        return
    kind = "a whole number" if whole else "a number"
    allowed = int if whole else (int, float)
    is_number = isinstance(value, allowed) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]
        raise UserError(f"{name} is {value!r}: expected {kind} from {low:,} to {high:,}.")


def _check_text(name: str, text: str) -> None:
    if not text or (name == "banned" and not text.strip()):
        raise UserError(f"{name} has an empty text: leave it out.")
    if not all(character.isprintable() or character in "\n\t" for character in text):
        raise UserError(f"{name} has {text!r}, in which there is a control character.")
    if any(mark in text for mark in _MARKS):
        raise UserError(f"{name} has {text!r}: the marks of blocks are not its to change.")
    if len(text) > _LONGEST_TEXT:
        raise UserError(f"{name} has a text of {len(text)} characters: at most {_LONGEST_TEXT}.")
