"""The sampler values: what they do, their limits, and the order of the steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from shoritui.errors import UserError
from shoritui.text import clean, one_line
from shoritui.toml import FILLED, Field, Fields, Problem, Rule, fields_of, nearest, problems, shown

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

_LONGEST_TEXT: Final = 200
MARKS: Final = ("▄", "▀")
"""What ends and begins a block: a message ends where either comes."""


def _wrong_text(text: str) -> str:
    without_tabs = text.replace("\t", "")
    if not text:
        return "but it is empty"
    if clean(without_tabs) != without_tabs:
        return f"not {shown(text)} (it holds a control character)"
    if any(mark in text for mark in MARKS):
        return f"not {shown(text)} (the marks of blocks are not allowed)"
    return "" if len(text) <= _LONGEST_TEXT else f"not of {len(text)}"


def _wrong_order(names: Sequence[str]) -> str:
    for index, name in enumerate(names):
        if name not in ORDER:
            return f'not "{name}"{nearest(name, ORDER)}'
        if name in names[:index]:
            return "each only once"
    return ""


_Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
_Penalty: TypeAlias = Annotated[float, Meta(ge=-10, le=10)]
_UpTo10: TypeAlias = Annotated[float, Meta(ge=0, le=10)]
_UpTo20: TypeAlias = Annotated[float, Meta(ge=0, le=20)]
_Window: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000)]
_Seed: TypeAlias = Annotated[int, Meta(ge=0, le=2**32 - 2)]
# llama.cpp reads 2**32 - 1 as "draw a seed"
_TEXT: Final = Rule(f"a text of 1 to {_LONGEST_TEXT} characters", _wrong_text)
_TEXTS: Final = Rule(f"a list of texts of 1 to {_LONGEST_TEXT} characters")
_BIASES: Final = Rule('texts, each with a number, such as {" the" = -1.5}')
_STEPS: Final = Rule(f"a list of any of {', '.join(ORDER)}", _wrong_order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Sampler values; the defaults are neutral. Out of range: `UserError`.

    Whatever the values, a message can end: no step but those that keep the likeliest tokens ever
    takes the end's own probability from it.
    """

    temperature: _UpTo20 = 1.0
    """Above 1 favours unlikely tokens more, below 1 less; 0 always takes the likeliest token."""
    dynatemp_range: _UpTo20 = 0.0
    """How far the temperature falls where the model is sure and rises where it is not; 0 keeps it
    fixed."""
    dynatemp_exponent: _UpTo10 = 1.0
    """Above 1, dynamic temperature stays low until the model is quite unsure; below 1, it rises
    early."""
    top_k: _Window = 0
    """Keep only this many of the likeliest tokens; 0 keeps all."""
    top_p: _Share = 1.0
    """Keep the likeliest tokens whose probabilities add up to this; 1 keeps all."""
    min_p: _Share = 0.0
    """Drop tokens whose probability is below this share of the likeliest one's; 0 drops none."""
    top_n_sigma: _UpTo20 = 0.0
    """Drop tokens whose score is more than this many standard deviations below the best; 0 drops
    none."""
    typical_p: _Share = 1.0
    """Keep the tokens that are about as surprising as expected, until their probabilities add up to
    this; 1 keeps all."""
    xtc_probability: _Share = 0.0
    """How often XTC drops the likeliest words: all above its threshold except the least likely of
    those."""
    xtc_threshold: Annotated[float, Meta(ge=0, le=0.5)] = 0.1
    """The probability above which XTC may drop a word."""
    repeat_penalty: Annotated[float, Meta(ge=0.1, le=10)] = 1.0
    """Divide the score of a token that has already occurred by this; 1 changes nothing."""
    frequency_penalty: _Penalty = 0.0
    """Lower a token's score by this for each time it occurred."""
    presence_penalty: _Penalty = 0.0
    """Lower a token's score by this once if it has occurred."""
    penalty_window: _Window = 1024
    """How many tokens of message text the three penalties look back over."""
    dry_multiplier: _UpTo10 = 0.0
    """How strongly DRY penalises a token that would continue a repetition; 0 turns it off."""
    dry_base: Annotated[float, Meta(ge=1, le=10)] = 1.75
    """How fast DRY's penalty grows with each further repeated token."""
    dry_allowed_length: Annotated[int, Meta(ge=1, le=1000)] = 2
    """The longest repetition, in tokens, that DRY leaves alone."""
    dry_window: _Window = 4096
    """How many tokens of message text DRY looks back over."""
    dry_breakers: Annotated[tuple[Annotated[str, _TEXT], ...], _TEXTS] = BREAKERS
    """Texts that end a repetition for DRY, as do the ends of messages and the cast's names."""
    mirostat: Literal[0, 2] = 0
    """2 draws tokens with Mirostat version 2, which keeps the surprise constant. Unless top_k is
    set, it is 1000 then."""
    mirostat_tau: _UpTo20 = 2.9
    """The surprise, in bits, that Mirostat aims at."""
    mirostat_eta: _Share = 0.019
    """How fast Mirostat corrects itself."""
    adaptive_target: _Share = 0.0
    """Draw words with adaptive-p, which keeps their average probability near this; 0 turns it off.
    Unless min_p is set, it is 0.02 then."""
    adaptive_decay: Annotated[float, Meta(ge=0, le=0.99)] = 0.9
    """How long adaptive-p remembers: about 1 / (1 - value) tokens."""
    logit_bias: tuple[tuple[str, float], ...] = ()
    """Texts of one token each, and what to add to their scores, with and without a space before
    them."""
    banned: Annotated[tuple[Annotated[str, _TEXT, FILLED], ...], _TEXTS] = ()
    """Words and phrases not to be written, in upper or lower case. Only whole words count: `cat`
    does not ban `catch`."""
    seed: _Seed | None = None
    """Makes a reply repeatable: the same seed and prompt give the same text as the first reply
    after a start. Later they mostly do: what was read in between may change how numbers are
    rounded. None draws a new seed each time."""
    order: Annotated[tuple[str, ...], _STEPS] = ORDER
    """The order of the steps. A step left out follows the one it usually follows; neutral steps do
    nothing."""

    def __post_init__(self) -> None:
        values = {name: getattr(self, name) for name in SETTINGS}
        _check({**values, "logit_bias": dict(self.logit_bias)})
        object.__setattr__(self, "order", _complete(self.order))


SETTINGS: Final = tuple(field.name for field in fields(Sampling))
"""The names of all sampler values."""
FIELDS: Final[Fields] = {
    **fields_of(Sampling),
    "logit_bias": Field(
        Annotated[dict[Annotated[str, _TEXT], Annotated[float, Meta(ge=-100, le=100)]], _BIASES],
        (),
    ),
}
"""The values as they stand in a file."""


def changed(sampling: Sampling, values: Mapping[str, object]) -> Sampling:
    """Return the sampling with some values replaced, as they stand in a file or in JSON.

    `UserError` if there is no such value, or it cannot be so.
    """
    for name in values:
        if name not in FIELDS:
            raise UserError(one_line(f'"{name}" is not a sampler value{nearest(name, FIELDS)}'))
    given = dict(values)
    if "logit_bias" in given:
        with suppress(TypeError, ValueError):  # JSON has pairs
            given["logit_bias"] = dict(given["logit_bias"])  # type: ignore[call-overload]
    _check(given)
    taken = {name: msgspec.convert(value, FIELDS[name].type) for name, value in given.items()}
    if "logit_bias" in taken:
        taken["logit_bias"] = tuple(taken["logit_bias"].items())
    return replace(sampling, **taken)


def clashes(values: Mapping[str, object]) -> Iterator[Problem]:
    """Yield what is wrong with values that are each right."""
    if values.get("mirostat") and values.get("adaptive_target"):
        sentence = "mirostat and adaptive_target both draw the token: set one to 0"
        yield Problem(("adaptive_target",), sentence)


def _check(values: Mapping[str, object]) -> None:
    for found in (problems(values, FIELDS), clashes(values)):
        if problem := next(found, None):
            raise UserError(one_line(problem.sentence))


def _complete(order: tuple[str, ...]) -> tuple[str, ...]:
    """Return the order with the steps it leaves out, each after the one that it usually follows.

    So orders that were saved before a step was known stay good.
    """
    whole = list(order)
    for index, name in enumerate(ORDER):
        if name not in whole:
            before = whole.index(ORDER[index - 1]) if index else -1
            whole.insert(before + 1, name)
    return tuple(whole)
