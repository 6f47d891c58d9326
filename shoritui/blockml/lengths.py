"""The nine length hints and how many tokens of the model in use each stands for."""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal, get_args

Length = Literal["nano", "micro", "tiny", "short", "medium", "long", "massive", "huge", "enormous"]
LENGTHS: tuple[Length, ...] = get_args(Length)

# The most tokens of a message body that still earn each hint; `enormous` has no upper end.
# The author's ranges were never published as text, so these are this project's own.
_MOST_TOKENS = (12, 24, 48, 112, 176, 256, 384, 576)
_ENORMOUS_MOST = 1024


def length_for(tokens: int) -> Length:
    """Return the hint that a message body of `tokens` tokens earns."""
    return LENGTHS[bisect_left(_MOST_TOKENS, tokens)]


def token_range(length: Length) -> tuple[int, int]:
    """Return the fewest and the most tokens of a body under this hint; a leaning, not a limit."""
    index = LENGTHS.index(length)
    least = _MOST_TOKENS[index - 1] + 1 if index else 1
    most = _MOST_TOKENS[index] if index < len(_MOST_TOKENS) else _ENORMOUS_MOST
    return least, most
