"""The sampler's values as people see them: groups, ranges, a line of help, lists as text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from shoritui.tui.widgets.knob import Scale

Value: TypeAlias = float | int | list[str] | dict[str, float] | None


@dataclass(frozen=True, slots=True)
class Group:
    """Values that belong together; without a title they are always shown."""

    title: str
    names: tuple[str, ...]
    switches: tuple[str, ...] = ()
    """Those that must differ from their neutral value for the others to do anything."""


GROUPS = (
    Group("", ("temperature", "min_p")),
    Group(
        "Penalties",
        ("presence_penalty", "frequency_penalty", "repeat_penalty", "penalty_window"),
        ("presence_penalty", "frequency_penalty", "repeat_penalty"),
    ),
    Group(
        "Banned words, bias",
        ("banned", "logit_bias"),
        ("banned", "logit_bias"),
    ),
    Group(
        "DRY: long repetitions",
        ("dry_multiplier", "dry_base", "dry_allowed_length", "dry_window", "dry_breakers"),
        ("dry_multiplier",),
    ),
    Group("XTC: no first choices", ("xtc_probability", "xtc_threshold"), ("xtc_probability",)),
    Group(
        "Fewer candidates",
        ("top_k", "top_p", "top_n_sigma", "typical_p"),
        ("top_k", "top_p", "top_n_sigma", "typical_p"),
    ),
    Group("Dynamic temperature", ("dynatemp_range", "dynatemp_exponent"), ("dynatemp_range",)),
    Group("Mirostat", ("mirostat", "mirostat_tau", "mirostat_eta"), ("mirostat",)),
    Group("Adaptive-p", ("adaptive_target", "adaptive_decay"), ("adaptive_target",)),
    Group("Seed, order of steps", ("seed", "order"), ("seed", "order")),
)

SCALES: dict[str, Scale] = {
    "temperature": Scale(0, 20, 0.05),
    "min_p": Scale(0, 1, 0.01, 3),
    "presence_penalty": Scale(-10, 10, 0.05),
    "frequency_penalty": Scale(-10, 10, 0.05),
    "repeat_penalty": Scale(0.1, 10, 0.05),
    "penalty_window": Scale(0, 65536, 64, 0),
    "dry_multiplier": Scale(0, 10, 0.05),
    "dry_base": Scale(1, 10, 0.05),
    "dry_allowed_length": Scale(1, 100, 1, 0),
    "dry_window": Scale(0, 65536, 64, 0),
    "xtc_probability": Scale(0, 1, 0.05),
    "xtc_threshold": Scale(0, 0.5, 0.01),
    "top_k": Scale(0, 1000, 1, 0),
    "top_p": Scale(0, 1, 0.01),
    "top_n_sigma": Scale(0, 20, 0.1),
    "typical_p": Scale(0, 1, 0.01),
    "dynatemp_range": Scale(0, 20, 0.05),
    "dynatemp_exponent": Scale(0, 10, 0.05),
    "mirostat": Scale(0, 2, 2, 0),
    "mirostat_tau": Scale(0, 20, 0.05),
    "mirostat_eta": Scale(0, 1, 0.001, 4),
    "adaptive_target": Scale(0, 1, 0.01),
    "adaptive_decay": Scale(0, 0.99, 0.01),
    "seed": Scale(0, 2**32 - 2, 1, 0, "any"),
}

LISTS = {
    "banned": "one word or phrase a line",
    "logit_bias": "one word = number a line",
    "dry_breakers": r"with spaces between; \n is a line's end",
    "order": "the steps, first to last",
}
"""The values that are lists, and how each is written."""

HELP = {
    "temperature": "Higher is wilder, lower is safer, 0 takes the likeliest.",
    "min_p": "Drops words less likely than this share of the likeliest.",
    "presence_penalty": "Once for every word that occurred.",
    "frequency_penalty": "For each time that a word occurred.",
    "repeat_penalty": "Divides the score of what occurred; 1 is off.",
    "penalty_window": "Tokens of the messages that penalties look back on.",
    "banned": "Never written: taken back, and said another way.",
    "logit_bias": "Added to the scores of single words, as `suddenly = -2`.",
    "dry_multiplier": "How strongly a repeated sequence is broken; 0 is off.",
    "dry_base": "How fast that grows with the sequence.",
    "dry_allowed_length": "Sequences up to so many tokens are let be.",
    "dry_window": "Tokens of the messages that DRY looks back on.",
    "dry_breakers": "Where a sequence ends, beside names and messages.",
    "xtc_probability": "How often the likeliest words are left out; 0 is off.",
    "xtc_threshold": "How likely a word must be to be left out.",
    "top_k": "Keeps so many of the likeliest; 0 keeps all.",
    "top_p": "Keeps the likeliest up to this sum; 1 keeps all.",
    "top_n_sigma": "Keeps what is near the best, in deviations; 0 keeps all.",
    "typical_p": "Keeps what surprises as expected; 1 keeps all.",
    "dynatemp_range": "Cooler where sure, hotter where not, by this; 0 is off.",
    "dynatemp_exponent": "Higher stays cool for longer.",
    "mirostat": "2 steers towards a constant surprise; 0 is off.",
    "mirostat_tau": "That surprise, in bits.",
    "mirostat_eta": "How fast Mirostat corrects itself.",
    "adaptive_target": "Draws words about as likely as this; 0 is off.",
    "adaptive_decay": "How long adaptive-p remembers.",
    "seed": "The same seed, the same text; any draws one.",
    "order": "Which step comes first can change much.",
}
"""What each value does, in a line."""


def list_text(name: str, value: object, between: str = "\n") -> str:
    """Return a list value as it is written: words with spaces between, others with `between`."""
    if name == "logit_bias":
        pairs: Mapping[str, float] = dict(value)  # type: ignore[call-overload]
        return between.join(f"{text} = {bias:g}" for text, bias in pairs.items())
    assert isinstance(value, Sequence)
    if name == "dry_breakers":
        return " ".join(text.replace("\n", "\\n").replace(" ", "\\s") for text in value)
    return (" " if name == "order" else between).join(value)


def read_list(name: str, text: str, between: str = "\n") -> Value:
    """Return a list value as it was written.

    Raises:
        ValueError: A bias without a number; with that part.
    """
    if name == "order":
        return re.findall(r"[^\s,→>]+", text)
    if name == "dry_breakers":
        return [each.replace("\\n", "\n").replace("\\s", " ") for each in text.split()]
    parts = [part.strip() for part in text.split(between) if part.strip()]
    return _biases(parts) if name == "logit_bias" else list(dict.fromkeys(parts))


def _biases(parts: Sequence[str]) -> dict[str, float]:
    found = {}
    for part in parts:
        word, _, number = part.rpartition("=")
        try:
            found[word.strip()] = float(number)
        except ValueError:
            raise ValueError(part) from None
    return found
