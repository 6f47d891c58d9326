"""Steps that do not choose by likelihood, kept from the tokens that end a message.

It does not know which tokens those are, nor what the step does.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.candidates import Candidates


class Narrowing(Protocol):
    """Whatever takes candidates away."""

    def apply(self, candidates: Candidates) -> None:
        """Take them away."""


class WordsOnly:
    """A step done among the words alone: whether the message ends stays as likely as it was.

    XTC and typical sampling drop likely tokens. To drop the end would let a message run on; to drop
    words only would make the end more likely than the model finds it.
    """

    def __init__(self, step: Narrowing, ends: Collection[int]) -> None:
        self._step, self._ends = step, ends

    def apply(self, candidates: Candidates) -> None:
        """Do the step without the ends, then put them back with the same share."""
        ends = candidates.take_out(self._ends)
        words = candidates.left()
        if len(words) and len(ends):
            before = _mass(words["logit"])
            self._step.apply(candidates)
            ends["logit"] += _mass(candidates.left()["logit"]) - before
        elif len(words):
            self._step.apply(candidates)
        candidates.put_in(ends)


def _mass(logits: NDArray[np.float32]) -> float:
    """The logarithm of the sum of the exponentials: how much these tokens weigh together."""
    best = logits.max()
    return float(best + np.log(np.exp(logits - best).sum()))
