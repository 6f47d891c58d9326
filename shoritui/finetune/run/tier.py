"""One tier from its start to its trained adapter: steps, and what is done between them.

It does not know the other tiers, beyond the adapter that this one goes on from.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import torch

from shoritui.errors import UserError
from shoritui.finetune.config.model import Config
from shoritui.finetune.data.tokenizer import Tokenizer
from shoritui.finetune.events import (
    Evaluated,
    Event,
    Replied,
    RungLowered,
    Saved,
    Stepped,
    TierStarted,
    WorstDocuments,
)
from shoritui.finetune.model import adapter as peft
from shoritui.finetune.model.interface import Rung, Trainable
from shoritui.finetune.model.optimizer import load_state, make_optimizer, save_state
from shoritui.finetune.run.clock import Clock, memory_used, reset_memory
from shoritui.finetune.run.distributed import Ranks
from shoritui.finetune.run.evaluation import Worst, evaluate
from shoritui.finetune.run.outline import TierOutline
from shoritui.finetune.run.output import ADAPTER
from shoritui.finetune.run.replies import Opening, write
from shoritui.finetune.run.steps import Course, Steps
from shoritui.finetune.run.store import Sealed

OPTIMIZER: Final = "optimizer.pt"


@dataclass(frozen=True, slots=True)
class Run:
    """What all tiers of a run share."""

    config: Config
    model: Trainable
    tokenizer: Tokenizer
    openings: tuple[Opening, ...]
    ranks: Ranks
    clock: Clock
    emit: Callable[[Event], None]
    """On the first rank; elsewhere it does nothing."""
    stop: Callable[[], bool]


@dataclass(slots=True)
class Progress:
    """How far a tier is; together with the adapter and the optimizer, all that it goes on from."""

    step: int = 0
    """Steps done."""
    loss: float | None = None
    """Of the last step."""
    evaluated: int = 0
    """The step after which the held-out conversations were last read."""
    best_step: int = 0
    best_loss: float | None = None
    rung: int = 0
    """That was enough, if memory ran out; 0 if it never did."""
    seconds: float = 0.0
    """Of training work."""


class TierRun:
    """The training of one tier."""

    def __init__(self, run: Run, outlined: TierOutline, rung: Rung) -> None:
        self._run = run
        self._model = run.model
        self._tier = outlined.tier
        self._evaluation = outlined.evaluation
        self._store = outlined.store
        self._course = Course(outlined.tier.train, outlined.packs)
        self._optimizer = make_optimizer(run.model.adapter, run.config.lora, outlined.tier.train)
        self._progress = Progress()
        self._saved = self._replied = 0
        self._worst = Worst()
        self._rung = rung

    def train(self, parent: Sealed | None) -> Sealed | None:
        """Trains the tier, or what is left of it.

        Args:
            parent: The trained tier that it goes on from; None for the base itself.

        Returns:
            The trained tier; None if it was asked to stop, and then what is done is saved. On
            other ranks than the first always None.

        Raises:
            UserError: It cannot go on.
        """
        self._begin(parent)
        course, progress, run = self._course, self._progress, self._run
        steps = Steps(self._model, self._optimizer, course, self._rung, run.ranks, run.stop)
        run.emit(TierStarted(self._tier.name, progress.step, course.steps, name_of(self._rung)))
        while self._between(steps.rung):
            if progress.step == course.steps:
                return self._finished() if run.ranks.is_first else None
            if not self._stepped(steps):
                break
        self._save()
        return None

    def _begin(self, parent: Sealed | None) -> None:
        """Puts the saved state in its place, or what the tier begins with."""
        ranks = self._run.ranks
        saved = self._saved_state() if ranks.is_first else None
        self._progress = ranks.from_first(Progress(**saved.facts) if saved else Progress())
        self._saved = self._progress.step
        source = saved or parent
        if ranks.is_first:
            self._set_adapter(source.folder / ADAPTER if source else None)
        ranks.give(self._model.adapter.values())
        carried = source if saved or self._tier.train.carry_optimizer else None
        with ranks.file_from_first(carried.folder / OPTIMIZER if carried else None) as file:
            if file:
                load_state(self._optimizer, file)
        if self._progress.rung:
            self._rung = min(self._rung, Rung(self._progress.rung))

    def _saved_state(self) -> Sealed | None:
        saved = self._store.saved()
        if saved is None or saved.facts.keys() != {field.name for field in fields(Progress)}:
            return None
        best = saved.facts["best_step"]
        return saved if not best or self._store.best(best) else None

    def _set_adapter(self, folder: Path | None) -> None:
        model, lora = self._model, self._run.config.lora
        linears = peft.linears_in(model.adapter)
        if folder is None:
            values = peft.fresh(linears, lora, self._tier.train.seed)
        else:
            found = peft.load(folder)
            peft.check(found, linears, lora, str(folder))
            values = found.tensors
        for name, parameter in model.adapter.items():
            parameter.data.copy_(values[name])

    def _stepped(self, steps: Steps) -> bool:
        """Takes a step; False if it was asked to stop."""
        begun = time.monotonic()
        reset_memory(self._model.device)
        taken = steps.take(self._progress.step, self._lowered)
        if taken is None:
            return False
        progress, clock = self._progress, self._run.clock
        progress.step += 1
        progress.loss = taken.loss
        seconds = time.monotonic() - begun
        progress.seconds += seconds
        clock.read(taken.tokens)
        self._worst.note(taken.documents)
        self._run.emit(
            Stepped(
                tier=self._tier.name,
                step=progress.step,
                steps=self._course.steps,
                epoch=progress.step / self._course.steps_per_epoch,
                loss=taken.loss,
                learning_rate=taken.learning_rate,
                gradient_norm=taken.gradient_norm,
                tokens=taken.tokens,
                seconds=seconds,
                memory=memory_used(self._model.device),
                seconds_left=clock.seconds_left,
            )
        )
        return not taken.is_last

    def _lowered(self, rung: Rung) -> None:
        self._progress.rung = rung
        self._run.emit(RungLowered(self._tier.name, self._progress.step, name_of(rung)))

    def _between(self, rung: Rung) -> bool:
        """What is due after the steps done so far; False if it was asked to stop meanwhile."""
        step, watch = self._progress.step, self._run.config.watch
        is_end = step == self._course.steps
        if (is_end or _is_due(step, watch.evaluate_every)) and not self._evaluated(rung):
            return False
        if (is_end and watch.reply_every) or _is_due(step, watch.reply_every):
            self._reply()
        if _is_due(step, watch.save_every) and not is_end:
            self._save()
        return True

    def _evaluated(self, rung: Rung) -> bool:
        progress, run = self._progress, self._run
        self._tell_worst()
        if not self._evaluation or progress.evaluated == progress.step:
            return True
        loss = evaluate(self._model, self._evaluation, rung, run.ranks, run.stop)
        if loss is None:
            return False
        is_best = progress.best_loss is None or loss < progress.best_loss
        if is_best:
            progress.best_step, progress.best_loss = progress.step, loss
            if run.ranks.is_first:
                self._store.keep_best(progress.step, self._write_adapter)
        progress.evaluated = progress.step
        run.emit(Evaluated(self._tier.name, progress.step, loss, is_best))
        return True

    def _tell_worst(self) -> None:
        if documents := self._worst.documents():
            self._run.emit(WorstDocuments(self._tier.name, self._progress.step, documents))

    def _reply(self) -> None:
        step, run = self._progress.step, self._run
        if self._replied == step or not (run.ranks.is_first or run.ranks.is_even):
            return
        self._replied = step
        writers = run.ranks if run.ranks.is_even else Ranks()
        name = f"{self._tier.train.seed}/{step}"
        for opening in run.openings:
            text = write(self._model, opening, run.tokenizer, name, writers, run.stop)
            if writers.from_first(run.stop()):
                return
            run.emit(Replied(self._tier.name, step, opening.name, text))

    def _save(self) -> None:
        progress = self._progress
        if self._saved == progress.step:
            return
        self._saved = progress.step
        if self._run.ranks.is_first:
            self._store.save(progress.step, progress.best_step, self._write_state, asdict(progress))
        self._run.emit(Saved(self._tier.name, progress.step))

    def _write_state(self, folder: Path) -> None:
        self._write_adapter(folder)
        save_state(self._optimizer, folder / OPTIMIZER)

    def _write_adapter(self, folder: Path, name: str = ADAPTER) -> None:
        config = self._run.config
        peft.save(folder / name, self._model.adapter, config.lora, config.base.model)

    def _finished(self) -> Sealed:
        progress = self._progress
        facts = {
            "tier": self._tier.name,
            "steps": progress.step,
            "loss": progress.loss,
            "evaluation": progress.best_loss,
            "best_step": progress.best_step,
            "seconds": progress.seconds,
            "device": str(self._model.device),
            "torch": torch.__version__,
        }
        return self._store.finish(self._write_trained, facts)

    def _write_trained(self, folder: Path) -> None:
        """The adapter that goes on, and beside it the best one or the last one if it is another."""
        step = self._progress.best_step
        if step in (0, self._progress.step):
            self._write_adapter(folder)
        elif self._tier.train.keep == "best":
            shutil.copytree(self._best(step), folder / ADAPTER)
            self._write_adapter(folder, "last")
        else:
            self._write_adapter(folder)
            shutil.copytree(self._best(step), folder / "best")
        save_state(self._optimizer, folder / OPTIMIZER)

    def _best(self, step: int) -> Path:
        best = self._store.best(step)
        if best is None:  # another one in its place would be another result under the same key
            raise UserError(
                f"{self._store.folder}: the adapter of step {step}, the best one, is damaged: see "
                "to that disk, then run it again."
            )
        return best.folder / ADAPTER


def name_of(rung: Rung) -> str:
    """As a config writes it."""
    return rung.name.lower()


def _is_due(step: int, every: int) -> bool:
    return bool(every and step and step % every == 0)
