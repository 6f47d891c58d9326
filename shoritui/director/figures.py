"""The figures of a turn, for a status line.

It does not know how they were come by.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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


def joined(first: Outcome | None, then: Outcome) -> Outcome:
    """Two generations of one message, the second after room was made for it, as one.

    Of the second one's prompt, what the first one wrote does not count as prompt.
    """
    if first is None:
        return then
    generated = first.generated_tokens + then.generated_tokens
    seconds = sum(
        each.generated_tokens / each.tokens_per_second
        for each in (first, then)
        if each.tokens_per_second
    )
    return replace(
        then,
        text=first.text + then.text,
        prompt_tokens=then.prompt_tokens - first.generated_tokens,
        reused_tokens=first.reused_tokens,
        evaluated_tokens=first.evaluated_tokens + then.evaluated_tokens,
        generated_tokens=generated,
        first_token_ms=first.first_token_ms,
        tokens_per_second=generated / seconds if seconds else 0.0,
    )
