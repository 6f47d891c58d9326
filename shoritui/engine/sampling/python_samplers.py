"""What llama.cpp's samplers cannot do: Mirostat, adaptive-p, a step among the words alone.

llama.cpp has Mirostat and adaptive-p too, but their state cannot be taken back there: here it goes
back when a banned phrase is, and Mirostat's goes on from message to message.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Collection, Iterable
from itertools import accumulate
from math import log2
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.sampling.candidates import Candidates, among
from shoritui.engine.sampling.llama_samplers import CountingSampler, LlamaSampler

_WIDTH: Final = 0.3
_PEAK: Final = 5.0
_SHARPNESS: Final = 10.0
"""The shape of adaptive-p's preference, as in llama.cpp."""

State = tuple[float, ...]
"""What the tokens drawn so far have left behind; may be set back."""


class LlamaDraw:
    """llama.cpp's own: by probability, or always the likeliest."""

    state: State = ()

    def __init__(self, sampler: LlamaSampler) -> None:
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
        ids, logits = candidates.ids_and_scores()
        weights = _weights(logits)
        places = (weights >= np.add.reduce(weights) * 2.0**-mu).nonzero()[0]
        if not len(places):
            places = np.array([weights.argmax()])
        # Mostly some dozens: a list of them is quicker than numpy.
        few = weights[places].tolist()
        sums = list(accumulate(few))
        chosen = min(bisect_right(sums, self._dice.random() * sums[-1]), len(few) - 1)
        surprise = -log2(few[chosen] / sums[-1])
        self.state = (mu - self._eta * (surprise - self._tau),)
        return int(ids[places[chosen]])


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


class WordsOnly:
    """A step done among the words alone: whether the message ends stays as likely as it was.

    XTC and typical sampling drop likely tokens. To drop the end would let a message run on; to drop
    words only would make the end more likely than the model finds it.
    """

    def __init__(self, step: LlamaSampler | CountingSampler, ends: Collection[int]) -> None:
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


AnySampler: TypeAlias = LlamaSampler | CountingSampler | WordsOnly
"""A step that takes candidates away or changes their scores."""
TokenDraw: TypeAlias = LlamaDraw | Mirostat | AdaptiveP
"""The last step: it chooses the token."""


def _softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    p = _weights(logits)
    p /= p.sum()
    return p


def _weights(logits: NDArray[Any]) -> NDArray[np.float64]:
    """The probabilities, but that the best one is 1."""
    weights: NDArray[np.float64] = logits.astype(np.float64)
    weights -= weights[weights.argmax()]
    return np.exp(weights, out=weights)


def _choose(p: NDArray[np.float64], dice: random.Random) -> int:
    sums = p.cumsum()
    return min(int(sums.searchsorted(dice.random() * sums[-1], "right")), len(p) - 1)


def _mass(logits: NDArray[np.float32]) -> float:
    """The logarithm of the sum of the exponentials: how much these tokens weigh together."""
    best = logits.max()
    return float(best + np.log(np.exp(logits - best).sum()))
