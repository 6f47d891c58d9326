"""The figures of a turn, for a status line.

It does not know how they were come by.
"""

from __future__ import annotations

from dataclasses import dataclass

from shoritui.engine import Outcome


@dataclass(frozen=True, slots=True)
class Figures:
    """What the last turn cost, for the status line; counts are tokens."""

    context_used: int = 0
    reused: int = 0
    evaluated: int = 0
    tokens_per_second: float = 0.0
    dropped_messages: int = 0
    """Old messages the model no longer reads, since the context is full."""


def figures_of(outcome: Outcome, context_size: int, dropped_messages: int) -> Figures:
    """The figures of a turn that ended like this."""
    used = outcome.prompt_tokens + outcome.generated_tokens
    return Figures(
        context_used=min(used, context_size),  # The last token drawn is not in the cache yet.
        reused=outcome.reused_tokens,
        evaluated=outcome.evaluated_tokens,
        tokens_per_second=outcome.tokens_per_second,
        dropped_messages=dropped_messages,
    )
