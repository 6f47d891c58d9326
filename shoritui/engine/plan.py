"""The fewest operations that turn the ids held in the KV cache into the ids wanted.

It does not know texts, models or llama.cpp: lists of ids go in, three numbers come out.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Keep the first `keep` ids, remove the next `remove`, evaluate the last `evaluate` wanted."""

    keep: int
    remove: int
    evaluate: int


def plan(held: Sequence[int], wanted: Sequence[int], *, logits: Container[int]) -> Plan:
    """How to get from `held` to `wanted` with the logits of the last wanted id at hand.

    `logits` are the lengths of `held` whose last id's logits are at hand. Where that of `wanted` is
    not among them, its last id is evaluated again even if it is already held.
    """
    keep = common_prefix(held, wanted)
    if keep and keep == len(wanted) and keep not in logits:
        keep -= 1
    return Plan(keep, len(held) - keep, len(wanted) - keep)


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading ids are equal."""
    for index, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return index
    return min(len(a), len(b))
