"""Direct preference optimisation (arXiv:2305.18290): from each document's loss to each pair's.

    log-ratio of a message   r = log p - log p of the reference      of its body and its end
    margin of a pair         z = beta * (r of the chosen message - r of the rejected one)
    loss of a pair           -(1 - e) * log sigmoid(z) - e * log sigmoid(-z)     e: label smoothing

What the reference finds is known before the first step, so the loss needs no second model; its
gradient for a document is a number, with which the document's own gradient is scaled.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from shoritui.finetune.config.model import Preference
from shoritui.finetune.data.packs import Pack


def log_ratios(by_document: Tensor, pack: Pack, settings: Preference) -> Tensor:
    """Return (pairs, 2): of the chosen and the rejected message, in nats.

    Args:
        by_document: (documents,), fp64: each one's loss, that is minus its log-probability.
        pack: With the losses under the reference.
        settings: Whether a log-ratio is a message's, or divided by its tokens.
    """
    assert pack.reference is not None
    ratios = torch.from_numpy(pack.reference).to(by_document.device) - by_document
    if settings.length_normalised:
        ratios = ratios / torch.tensor(pack.counts, device=by_document.device)
    return ratios.view(-1, 2)


def margins(ratios: Tensor, settings: Preference) -> Tensor:
    """Return (pairs,): by how much the chosen messages are preferred."""
    return settings.beta * (ratios[:, 0] - ratios[:, 1])


def pair_losses(ratios: Tensor, settings: Preference) -> Tensor:
    """Return (pairs,): the loss of each pair."""
    margin, smoothing = margins(ratios, settings), settings.label_smoothing
    right, wrong = functional.logsigmoid(margin), functional.logsigmoid(-margin)
    return -(1 - smoothing) * right - smoothing * wrong
