"""What a tier makes smaller, as a mean over a step: its tokens' losses, or those of its pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Protocol

import torch
from torch import Tensor

from shoritui.finetune.config.model import Preference, Tier
from shoritui.finetune.data.packs import Losses, Pack
from shoritui.finetune.events import PreferenceFigures
from shoritui.finetune.model.interface import Level, Trainable
from shoritui.finetune.model.preference import log_ratios, margins, pair_losses
from shoritui.finetune.run.distributed import Ranks


@dataclass(frozen=True, slots=True)
class Reached:
    """How well some packs are met."""

    loss: float
    documents: tuple[tuple[str, float], ...]
    """Sources, each with its loss: of a conversation per learnt token, or of a pair."""
    preference: PreferenceFigures | None = None


class Objective(Protocol):
    """Documents' losses, put together."""

    def count(self, pack: Pack) -> int:
        """How much a pack counts in the mean."""
        ...

    def total(self, pack: Pack, by_document: Tensor) -> Tensor:
        """(): the sum over what counts in a pack, with a gradient if the losses have one."""
        ...

    def reached(self, packs: Sequence[Pack], by_document: Tensor) -> Reached:
        """Return what these documents' losses amount to."""
        ...


class Tokens:
    """Every learnt token counts the same."""

    def count(self, pack: Pack) -> int:
        """Its learnt tokens."""
        return pack.learnt

    def total(self, pack: Pack, by_document: Tensor) -> Tensor:
        """The sum of all documents' losses."""
        return by_document.sum()

    def reached(self, packs: Sequence[Pack], by_document: Tensor) -> Reached:
        """The mean over their learnt tokens; documents of which nothing is learnt are left out."""
        sums = by_document.tolist()
        counts = [count for pack in packs for count in pack.counts]
        sources = [source for pack in packs for source in pack.sources]
        documents = tuple(
            (source, total / count)
            for source, total, count in zip(sources, sums, counts, strict=True)
            if count
        )
        return Reached(sum(sums) / max(sum(counts), 1), documents)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Every pair of messages counts the same."""

    settings: Preference

    def count(self, pack: Pack) -> int:
        """Its pairs."""
        return pack.documents // 2

    def total(self, pack: Pack, by_document: Tensor) -> Tensor:
        """The sum of all pairs' losses."""
        return pair_losses(log_ratios(by_document, pack, self.settings), self.settings).sum()

    def reached(self, packs: Sequence[Pack], by_document: Tensor) -> Reached:
        """The mean over their pairs."""
        settings = self.settings
        parts = by_document.split([pack.documents for pack in packs])  # type: ignore[no-untyped-call]
        ratios = torch.cat(
            [log_ratios(part, pack, settings) for part, pack in zip(parts, packs, strict=True)]
        )
        losses, margin = pair_losses(ratios, settings), margins(ratios, settings)
        sources = [source for pack in packs for source in pack.sources[::2]]
        chosen, rejected = ratios.mean(0).tolist()
        figures = PreferenceFigures(
            margin=float(margin.mean()),
            accuracy=float((margin > 0).double().mean()),
            chosen=chosen,
            rejected=rejected,
        )
        documents = tuple(zip(sources, losses.tolist(), strict=True))
        return Reached(float(losses.mean()), documents, figures)


def objective_of(tier: Tier) -> Objective:
    """Return what a tier makes smaller."""
    return Pairs(tier.preference) if tier.kind == "preference" else Tokens()


def losses_of(
    model: Trainable,
    packs: Sequence[Pack],
    level: Level,
    ranks: Ranks,
    stop: Callable[[], bool],
    report: Callable[[int], None] = lambda done: None,
) -> Tensor | None:
    """Return (documents,), fp64, on the CPU: the losses of all documents, without gradient.

    Returns:
        None if this process was asked to stop meanwhile; beside other ranks it never stops here.
    """
    places = list(accumulate((pack.documents for pack in packs), initial=0))
    losses = torch.zeros(places[-1], dtype=torch.float64)
    for index in ranks.mine(len(packs)):
        if stop() and ranks.size == 1:
            return None
        report(index or 0)
        with torch.no_grad():
            loss = model.loss(packs[index or 0], None, level)
        if index is not None:
            losses[places[index] : places[index + 1]] = loss.by_document.cpu()
    ranks.add(losses)
    return losses


def referred(packs: Sequence[Pack], losses: Losses) -> tuple[Pack, ...]:
    """Return the packs with the losses of their documents under the reference, (documents,)."""
    places = accumulate((pack.documents for pack in packs), initial=0)
    return tuple(
        replace(pack, reference=losses[start:end])
        for pack, (start, end) in zip(packs, pairwise(places), strict=True)
    )
