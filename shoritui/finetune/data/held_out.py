"""Which conversations are held out: decided by what is said in them, over all tiers at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

_ENOUGH = 10
"""Where there are so many conversations, at least one is held out."""


def held_out(tiers: Iterable[tuple[frozenset[str], float]]) -> frozenset[str]:
    """Return the conversations that no tier learns from.

    A conversation that one tier holds out is held out of all: what one has learnt, another that
    goes on from it could not be judged by. It stays held out whatever else comes and goes, unless
    it was a tier's only one, or a number is wanted. A tier is its conversations' digests, and what
    to hold out: a share, or from 1 on a number, rounded down.
    """
    held: set[str] = set()
    for digests, share in tiers:
        ranked = sorted((share_of(f"held out/{digest}"), digest) for digest in digests)
        if share >= 1:
            held.update(digest for _, digest in ranked[: int(share)])
            continue
        chosen = [digest for rank, digest in ranked if rank < share]
        if not chosen and share > 0 and len(ranked) >= _ENOUGH:
            chosen = [ranked[0][1]]
        held.update(chosen)
    return frozenset(held)


def share_of(name: str) -> float:
    """Return a number from 0 to below 1 that only a name decides."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / 2**48
