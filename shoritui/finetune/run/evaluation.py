"""How well the adapter does: on conversations that are held out, and where it does worst.

It does not know when it is asked. Nothing here changes what a later step does, not by one bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import torch

from shoritui.finetune.data.sample import Pack
from shoritui.finetune.events import DocumentLoss
from shoritui.finetune.model.interface import Rung, Trainable
from shoritui.finetune.run.distributed import Ranks

WORST: Final = 8


def evaluate(
    model: Trainable,
    packs: Sequence[Pack],
    rung: Rung,
    ranks: Ranks,
    stop: Callable[[], bool],
) -> float | None:
    """The mean loss over the learnt tokens of held-out packs, in nats.

    Returns:
        None if this process was asked to stop meanwhile; beside other ranks it never stops here.
    """
    total = torch.zeros((), dtype=torch.float64)
    for index in ranks.mine(len(packs)):
        if stop() and ranks.size == 1:
            return None
        with torch.no_grad():
            loss = model.loss(packs[index or 0], None, rung)
        if index is not None:
            total += loss.by_document.double().sum().cpu()
    ranks.add(total)
    return float(total) / max(sum(pack.learnt for pack in packs), 1)


class Worst:
    """The conversations that are predicted worst, by their losses when last read."""

    def __init__(self) -> None:
        self._losses: dict[str, float] = {}

    def note(self, documents: Sequence[tuple[str, float]]) -> None:
        """Takes in the losses of a step."""
        self._losses.update(documents)

    def documents(self) -> tuple[DocumentLoss, ...]:
        """The worst first."""
        ranked = sorted(self._losses.items(), key=lambda item: -item[1])
        return tuple(DocumentLoss(source, loss) for source, loss in ranked[:WORST])
