"""A reply's length, led by its end alone: what is added to the score of the block's end.

    bias
     +  │                       ╱       grows beyond the wanted length, so every reply ends
     0 ─┼──────────────────────╱─────   tokens so far
     -  │______________________         lets it not end much before

No word's score changes, so the model's own odds decide at which of the places there it ends.
"""

from __future__ import annotations

from itertools import pairwise

from msgspec import Struct


class LengthGuide(Struct, frozen=True):
    """What is added to the score of a message's end, by the tokens written before it."""

    points: tuple[tuple[int, float], ...]
    """Tokens, and what is added there; between them it changes evenly, after the last two it goes
    on as between them. At least two, in the order of their tokens."""
    begun: int = 0
    """The tokens of the message that are written already."""

    def bias(self, tokens: int) -> float:
        """Return what is added after so many more tokens."""
        at = self.begun + tokens
        if at <= self.points[0][0]:
            return self.points[0][1]
        steps = pairwise(self.points)
        (left, low), (right, high) = next((s for s in steps if at < s[1][0]), self.points[-2:])
        return low + (high - low) * (at - left) / (right - left)
