"""One optimizer step: its packs, their gradients, clipping, the step.

Where memory runs out, the same step is begun again at a lower checkpointing level.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch.optim import Optimizer

from shoritui.errors import UserError
from shoritui.finetune.config.model import Train
from shoritui.finetune.data.packs import Pack, order, steps_of
from shoritui.finetune.model.interface import Draw, Level, Trainable
from shoritui.finetune.model.optimizer import rate, set_rate
from shoritui.finetune.run.distributed import Ranks
from shoritui.finetune.run.objectives import Objective, Reached, Tokens


@dataclass(frozen=True, slots=True)
class Batches:
    """The packs of a tier's optimizer steps."""

    train: Train
    packs: tuple[Pack, ...]

    @property
    def steps_per_epoch(self) -> int:
        """The last step of an epoch may have fewer packs than the others."""
        return math.ceil(len(self.packs) / self.train.packs_per_step)

    @property
    def steps(self) -> int:
        """Of all epochs."""
        return steps_of(self.packs, self.train)

    def packs_of(self, step: int) -> list[Pack]:
        """The packs of a step, counted from 0."""
        epoch, place = divmod(step, self.steps_per_epoch)
        places = order(len(self.packs), self.train.seed, epoch)
        begin = place * self.train.packs_per_step
        return [self.packs[index] for index in places[begin : begin + self.train.packs_per_step]]

    def tokens_after(self, step: int) -> int:
        """Tokens that are still to be read once so many steps are done."""
        epoch, place = divmod(step, self.steps_per_epoch)
        rest = sum(
            len(pack.ids)
            for later in range(place, self.steps_per_epoch if place else 0)
            for pack in self.packs_of(epoch * self.steps_per_epoch + later)
        )
        whole = self.train.epochs - epoch - (1 if place else 0)
        return rest + whole * sum(len(pack.ids) for pack in self.packs)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step was."""

    reached: Reached
    learning_rate: float
    gradient_norm: float
    tokens: int
    is_last: bool
    """Some rank has been asked to stop."""


class Steps:
    """The optimizer steps of one tier."""

    def __init__(
        self,
        model: Trainable,
        optimizer: Optimizer,
        batches: Batches,
        level: Level,
        ranks: Ranks,
        stop: Callable[[], bool],
        objective: Objective | None = None,
    ) -> None:
        """Make each learnt token likelier, unless the objective is another."""
        self.level = level
        """Falls when memory runs out."""
        self._model = model
        self._parameters = list(model.adapter.values())
        self._optimizer = optimizer
        self._batches = batches
        self._ranks = ranks
        self._stop = stop
        self._objective = objective or Tokens()

    def take(self, step: int, lowered: Callable[[Level], None]) -> StepResult | None:
        """Take a step, counted from 0; None if asked to stop before it was done: nothing of it is.

        `lowered` is called when memory ran out and the step begins anew at a lower level.

        Raises:
            UserError: A loss or gradient is not a number, or memory ran out at the lowest level.
        """
        train = self._batches.train
        packs = self._batches.packs_of(step)
        sums = self._accumulated(step, packs, lowered)
        if sums is None:
            return None
        self._ranks.add(sums)
        self._ranks.add_gradients(self._parameters)
        norm = self._clipped(train.max_grad_norm)
        if not math.isfinite(norm):
            raise UserError(_not_a_number("the gradient", step, packs))
        learning_rate = rate(train, step, self._batches.steps)
        set_rate(self._optimizer, learning_rate)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return StepResult(
            reached=self._objective.reached(packs, sums[:-1]),
            learning_rate=learning_rate,
            gradient_norm=norm,
            tokens=sum(len(pack.ids) for pack in packs),
            is_last=bool(sums[-1]),
        )

    def _accumulated(
        self, step: int, packs: list[Pack], lowered: Callable[[Level], None]
    ) -> torch.Tensor | None:
        while True:
            try:
                return self._gradients(step, packs)
            except torch.OutOfMemoryError:
                pass  # what the failed pass holds is freed once the error is gone
            self._optimizer.zero_grad()
            torch.cuda.empty_cache()
            if self._ranks.is_even:
                raise UserError(
                    "The GPU's memory is full, and with a shared base the ranks cannot change "
                    "their checkpointing level by themselves: set a lower one, `rung`, in [watch]."
                )
            if self.level == min(Level):
                raise UserError(
                    "The GPU's memory is full, and no checkpointing level takes less: lower "
                    "sequence_len in [train] or r in [lora], or close what else uses the GPU."
                )
            # Through transformers, all levels but the lowest are one.
            self.level = Level(self.level - 1) if self._model.is_fast else min(Level)
            lowered(self.level)

    def _gradients(self, step: int, packs: list[Pack]) -> torch.Tensor | None:
        """Every document's loss of this rank's packs, and whether to stop; gradients are added.

        The gradient is that of the mean over all that counts in the step, on any rank.
        """
        count = sum(map(self._objective.count, packs))
        sums = torch.zeros(sum(pack.documents for pack in packs) + 1, dtype=torch.float64)
        places = list(accumulate((pack.documents for pack in packs), initial=0))
        for index in self._ranks.mine(len(packs)):
            if self._stop():
                if self._ranks.size == 1:
                    self._optimizer.zero_grad()
                    return None
                sums[-1] = 1  # the others learn of it at the end of the step
            pack = packs[index or 0]
            if not pack.learnt and not self._ranks.is_even:
                continue
            draw = Draw(self._batches.train.seed, step, index or 0)
            loss = self._model.loss(pack, draw, self.level)
            share = 0.0 if index is None else 1 / max(count, 1)
            total = self._objective.total(pack, loss.by_document)
            (total * share).backward()  # type: ignore[no-untyped-call]
            if index is None:
                continue
            own = loss.by_document.detach().cpu()
            if not own.isfinite().all():
                raise UserError(_not_a_number("the loss", step, [pack]))
            sums[places[index] : places[index + 1]] = own
        return sums

    def _clipped(self, most: float) -> float:
        gradients = [one.grad for one in self._parameters if one.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if most:
            torch.nn.utils.clip_grads_with_norm_(self._parameters, most, norm)
        return float(norm)


def _not_a_number(what: str, step: int, packs: list[Pack]) -> str:
    sources = list(dict.fromkeys(source for pack in packs for source in pack.sources))
    shown = ", ".join(sources[:4]) + (f" and {len(sources) - 4} more" if sources[4:] else "")
    return (
        f"Step {step + 1}: {what} is not a number any more, with {shown}. Lower learning_rate, "
        "or look at these conversations."
    )
