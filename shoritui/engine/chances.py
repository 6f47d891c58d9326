"""The model's own probabilities of a drawn token and of the likeliest ones, before any sampler.

It does not know how the token was drawn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.interface import Chance, Drawn
from shoritui.engine.model import Model


def drawn(model: Model, logits: NDArray[np.float32], token: int, likeliest: int) -> Drawn:
    """How likely the model found `token` by these scores, beside so many of the likeliest."""
    weights = np.exp(logits - logits.max())
    total = float(weights.sum())
    count = min(likeliest, len(weights))
    best = np.argpartition(weights, -count)[-count:]
    ids = best[np.argsort(-weights[best], kind="stable")]

    def chance(id_: int) -> Chance:
        return Chance(model.pieces[id_].decode("utf-8", "replace"), float(weights[id_]) / total)

    return Drawn(chance(token), tuple(chance(int(id_)) for id_ in ids))
