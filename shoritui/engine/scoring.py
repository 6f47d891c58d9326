"""How likely short texts are behind a document, from the logits of as few places as it takes.

It does not know where logits come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Ids = tuple[int, ...]
LogProbabilities = NDArray[np.float64]
"""One for each token of the vocabulary."""


def shared_beginnings(branches: Sequence[Ids]) -> list[Ids]:
    """The beginnings that two different branches have in common, the empty one left out.

    Only behind these does it take more logits to tell one branch from another.
    """
    begun = Counter(
        branch[:length] for branch in set(branches) for length in range(1, len(branch) + 1)
    )
    return sorted(begin for begin, count in begun.items() if count > 1)


def log_probability(branch: Ids, scores: Mapping[Ids, LogProbabilities]) -> float:
    """The log-probability of a branch's beginning, up to where it stands alone.

    `scores` are the log-probabilities of all tokens behind each beginning that branches share.
    """
    total = 0.0
    for length, token in enumerate(branch):
        if branch[:length] not in scores:
            break
        total += float(scores[branch[:length]][token])
    return total


def log_softmax(logits: NDArray[np.float32]) -> LogProbabilities:
    """The logarithms of the probabilities."""
    scores = logits.astype(np.float64)
    scores -= scores.max()
    scores -= np.log(np.exp(scores).sum())
    return scores
