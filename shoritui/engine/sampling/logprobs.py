"""Log-probabilities: of a token that was drawn, and of whole candidates that may come next.

They are the model's own, before any sampler.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.interface import SampledToken, TokenLogprob
from shoritui.engine.llama.model import Model

Ids = tuple[int, ...]
Logprobs = NDArray[np.float64]
"""One for each token of the vocabulary."""


def shared_beginnings(branches: Sequence[Ids]) -> list[Ids]:
    """The beginnings that two different branches have in common, the empty one left out.

    Only behind these does it take more logits to tell one branch from another.
    """
    begun = Counter(
        branch[:length] for branch in set(branches) for length in range(1, len(branch) + 1)
    )
    return sorted(begin for begin, count in begun.items() if count > 1)


def logprob_of(branch: Ids, scores: Mapping[Ids, Logprobs]) -> float:
    """The log-probability of a branch's beginning, up to where it stands alone.

    `scores` are the log-probabilities of all tokens behind each beginning that branches share.
    """
    total = 0.0
    for length, token in enumerate(branch):
        if branch[:length] not in scores:
            break
        total += float(scores[branch[:length]][token])
    return total


def log_softmax(logits: NDArray[np.float32]) -> Logprobs:
    """The logarithms of the probabilities."""
    scores = logits.astype(np.float64)
    scores -= scores.max()
    scores -= np.log(np.exp(scores).sum())
    return scores


def logprob_at(logits: NDArray[np.float32], token: int) -> float:
    """The log-probability of one token, without those of all others."""
    top = logits.max()
    return float(logits[token] - top) - math.log(np.exp(logits - top).sum(dtype=np.float64))


def sampled(
    model: Model, logits: NDArray[np.float32], token: int, top_logprobs: int
) -> SampledToken:
    """How likely the model found `token` by these scores, beside so many of the likeliest."""
    logprobs = log_softmax(logits)
    count = min(top_logprobs, len(logprobs))
    best = np.argpartition(logprobs, -count)[-count:]
    ids = best[np.argsort(-logprobs[best], kind="stable")]

    def of(id_: int) -> TokenLogprob:
        text = model.pieces[id_].decode("utf-8", "replace")
        return TokenLogprob(text, float(logprobs[id_]), id_)

    return SampledToken(of(int(token)), tuple(of(int(id_)) for id_ in ids))
