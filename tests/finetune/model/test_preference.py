"""Direct preference optimisation is what the paper says, beside plain maths in fp64."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from shoritui.finetune.config.model import Preference
from shoritui.finetune.data.packs import Pack, pack_of
from shoritui.finetune.model.interface import Draw, Level
from shoritui.finetune.model.network import Network
from shoritui.finetune.model.precision import Tuning
from shoritui.finetune.run.distributed import Ranks
from shoritui.finetune.run.objectives import Pairs, losses_of, referred
from tests.finetune.model import plain
from tests.finetune.model.test_network import FP32, network

DRAW = Draw(3, 1, 0)
LENGTHS = (60, 81, 23, 40, 90, 12)
"""Of three pairs: chosen, rejected."""
VARIANTS = [
    Preference(),
    Preference(beta=0.5, label_smoothing=0.2),
    Preference(beta=5.0, length_normalised=True),
    Preference(beta=2.0, length_normalised=True, label_smoothing=0.1),
]


def parent_of(policy: Network) -> Network:
    """The same base with another adapter: what the tier began with."""
    generator = torch.Generator().manual_seed(9)
    factors = {
        name: nn.Parameter(one.detach() + 0.02 * torch.randn(one.shape, generator=generator))
        for name, one in policy.adapter.items()
    }
    parent = Network(policy.shape, policy.weights, factors, policy.lora, policy.dtype)
    parent.tuned = policy.tuned
    return parent


def made(dropout: float) -> tuple[Network, Network, Pack]:
    """What learns, what it is compared with, and three pairs that know what that finds."""
    policy = network(dropout=dropout)
    policy.tuned = Tuning(FP32, chunk=50, loss_chunk=33)
    parent = parent_of(policy)
    pack = pack_of(tuple(plain.samples(*LENGTHS)))
    losses = losses_of(parent, [pack], Level.ATTENTION, Ranks(), lambda: False)
    assert losses is not None
    (known,) = referred([pack], losses.numpy())
    return policy, parent, known


def by_the_paper(
    policy: Network, parent: Network, pack: Pack, settings: Preference, draw: Any
) -> Any:
    """The mean loss of the pairs, equation 7, with e of the labels the wrong way round."""
    ours, theirs = plain.losses(policy, pack, draw), plain.losses(parent, pack, None).detach()
    total = torch.zeros((), dtype=torch.float64)
    for pair in range(0, pack.documents, 2):
        margin = torch.zeros((), dtype=torch.float64)
        for document, sign in ((pair, 1), (pair + 1, -1)):
            tokens = pack.counts[document] if settings.length_normalised else 1
            margin = margin + sign * (theirs[document] - ours[document]) / tokens
        z = settings.beta * margin
        share = settings.label_smoothing
        total = total + (1 - share) * torch.log1p(torch.exp(-z)) + share * torch.log1p(torch.exp(z))
    return total / (pack.documents // 2)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("settings", VARIANTS)
def test_loss_and_gradients_are_those_of_plain_maths_in_fp64(
    settings: Preference, dropout: float
) -> None:
    policy, parent, pack = made(dropout)
    expected = by_the_paper(policy, parent, pack, settings, DRAW)
    expected.backward()
    gradients = plain.gradients(policy)
    objective = Pairs(settings)
    loss = policy.loss(pack, DRAW, Level.ATTENTION)
    mean = objective.total(pack, loss.by_document) / objective.count(pack)
    mean.backward()  # type: ignore[no-untyped-call]
    assert mean.item() == pytest.approx(expected.item(), abs=1e-6)
    assert plain.furthest(plain.gradients(policy), gradients) < 1e-5


def test_the_figures_are_those_of_the_pairs() -> None:
    settings = Preference(beta=0.5)
    policy, parent, pack = made(0.0)
    ours, theirs = (plain.losses(each, pack, None).detach() for each in (policy, parent))
    ratios = (theirs - ours).view(-1, 2)
    margins = 0.5 * (ratios[:, 0] - ratios[:, 1])
    losses = losses_of(policy, [pack], Level.ATTENTION, Ranks(), lambda: False)
    assert losses is not None
    reached = Pairs(settings).reached([pack], losses)
    figures = reached.preference
    assert figures
    assert figures.margin == pytest.approx(margins.mean().item(), abs=1e-5)
    assert figures.accuracy == (margins > 0).double().mean().item()
    assert figures.chosen == pytest.approx(ratios[:, 0].mean().item(), abs=1e-5)
    assert figures.rejected == pytest.approx(ratios[:, 1].mean().item(), abs=1e-5)
    assert reached.loss == pytest.approx(by_the_paper(policy, parent, pack, settings, None).item())
    assert sum(loss for _, loss in reached.documents) / 3 == pytest.approx(reached.loss)


def test_what_is_its_own_reference_prefers_nothing() -> None:
    policy = network()
    pack = pack_of(tuple(plain.samples(*LENGTHS)))
    losses = losses_of(policy, [pack], Level.ATTENTION, Ranks(), lambda: False)
    assert losses is not None
    (known,) = referred([pack], losses.numpy())
    reached = Pairs(Preference()).reached([known], losses)
    assert reached.loss == pytest.approx(math.log(2), rel=1e-12)
    assert reached.preference and reached.preference.margin == 0
    assert reached.preference.accuracy == 0


def test_a_margin_far_from_zero_overflows_nothing() -> None:
    pack = replace(pack_of(tuple(plain.samples(9, 9))), reference=torch.zeros(2).double().numpy())
    for sign in (1, -1):
        losses = torch.tensor([sign * 1e5, -sign * 1e5], dtype=torch.float64, requires_grad=True)
        loss = Pairs(Preference(beta=1.0)).total(pack, losses)
        loss.backward()  # type: ignore[no-untyped-call]
        assert losses.grad is not None
        assert loss.isfinite() and losses.grad.isfinite().all()
