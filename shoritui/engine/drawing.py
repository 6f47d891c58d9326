"""Two last steps that llama.cpp has too, but whose state cannot be taken back there.

Mirostat's goes on from message to message, with new dice; both go back when a phrase is taken back.
It does not know what comes before.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.candidates import Candidates, among
from shoritui.engine.samplers import Sampler

_WIDTH: Final = 0.3
_PEAK: Final = 5.0
_SHARPNESS: Final = 10.0
"""The shape of adaptive-p's preference, as in llama.cpp."""

State = tuple[float, ...]


class Drawing(Protocol):
    """The last step: it chooses the token."""

    state: State
    """What the tokens drawn so far have left behind; may be set back."""

    def draw(self, candidates: Candidates) -> int:
        """The id of the token."""


class Plain:
    """llama.cpp's own: by probability, or always the likeliest."""

    state: State = ()

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def draw(self, candidates: Candidates) -> int:
        """The id of the token."""
        self._sampler.apply(candidates)
        return candidates.selected()


class Mirostat:
    """Mirostat version 2: drops what surprises more than mu, and moves mu towards its aim."""

    def __init__(self, seed: int, tau: float, eta: float) -> None:
        self._dice = random.Random(seed)
        self._tau, self._eta = tau, eta
        self.state: State = (2 * tau,)
        """mu, in bits."""

    def draw(self, candidates: Candidates) -> int:
        """The id of the token."""
        (mu,) = self.state
        entries = candidates.left()
        p = _softmax(entries["logit"])
        allowed = p >= 2.0**-mu
        if not allowed.any():
            allowed[p.argmax()] = True
        ids, p = entries["id"][allowed], p[allowed]
        p /= p.sum()
        chosen = _choose(p, self._dice)
        surprise = -float(np.log2(p[chosen]))
        self.state = (mu - self._eta * (surprise - self._tau),)
        return int(ids[chosen])


class AdaptiveP:
    """Adaptive-p: prefers words whose probability is near one that brings the average to target.

    Whether the message ends is decided first, as likely as the candidates say.
    """

    def __init__(self, seed: int, target: float, decay: float, ends: Iterable[int]) -> None:
        self._dice = random.Random(seed)
        self._target, self._decay = target, decay
        self._ends = frozenset(ends)
        self.state: State = (target / (1 - decay), 1 / (1 - decay))
        """The decayed sum of the drawn words' probabilities, and the decayed count of them."""

    def draw(self, candidates: Candidates) -> int:
        """The id of the token."""
        entries = candidates.left()
        p = _softmax(entries["logit"])
        is_end = among(entries, self._ends)
        if self._dice.random() < p[is_end].sum() or is_end.all():
            return int(entries["id"][is_end][_choose(p[is_end], self._dice)])
        return self._word(entries["id"][~is_end], p[~is_end])

    def _word(self, ids: NDArray[np.int32], p: NDArray[np.float64]) -> int:
        total, count = self.state
        wanted = min(max(2 * self._target - total / count, 0.0), 1.0)
        distance = np.abs(p - wanted) / _WIDTH
        liking = _PEAK - _SHARPNESS * distance**2 / (1 + distance)
        liking[p == 0] = -np.inf  # no chance stays no chance
        chosen = _choose(_softmax(liking), self._dice)
        self.state = (float(p[chosen]) + self._decay * total, 1 + self._decay * count)
        return int(ids[chosen])


def _softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    p: NDArray[np.float64] = np.exp(logits.astype(np.float64) - logits.max())
    p /= p.sum()
    return p


def _choose(p: NDArray[np.float64], dice: random.Random) -> int:
    sums = p.cumsum()
    return min(int(sums.searchsorted(dice.random() * sums[-1], "right")), len(p) - 1)
