"""One tier from its start to its trained adapter: steps, and what is done between them.

    begin ─▶ step ─▶ step ─▶ ... ─▶ finish
               └─ now and then: evaluate, write sample replies, save

Evaluation and replies change nothing of what a later step does, not by one bit.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from heapq import nlargest
from io import BytesIO
from operator import itemgetter
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from shoritui.errors import UserError
from shoritui.files import content_of
from shoritui.finetune.cache.digests import digest_of
from shoritui.finetune.cache.tiers import Sealed
from shoritui.finetune.config.model import Config, Lora
from shoritui.finetune.data.packs import Pack
from shoritui.finetune.data.tokenizer import Tokenizer
from shoritui.finetune.events import (
    DocumentLoss,
    Emit,
    Evaluated,
    LevelLowered,
    Preparing,
    Replied,
    Saved,
    Stepped,
    TierStarted,
    WorstDocuments,
)
from shoritui.finetune.model import adapter as peft
from shoritui.finetune.model.interface import Level, Trainable
from shoritui.finetune.model.optimizer import load_state, make_optimizer, save_state
from shoritui.finetune.plan.outline import Start, Stop, TierOutline
from shoritui.finetune.run.adapter_folders import ADAPTER
from shoritui.finetune.run.distributed import Ranks
from shoritui.finetune.run.objectives import (
    Objective,
    Reached,
    Tokens,
    losses_of,
    objective_of,
    referred,
)
from shoritui.finetune.run.replies import SamplePrompt, write
from shoritui.finetune.run.steps import Batches, Steps
from shoritui.gguf.lora.peft import WEIGHTS_FILE
from shoritui.text import clean

OPTIMIZER: Final = "optimizer.pt"
REFERENCE: Final = "losses.npy"
WORST: Final = 8
"""Conversations with the highest losses that are reported."""


@dataclass(frozen=True, slots=True)
class Run:
    """What all tiers of a run share."""

    config: Config
    model: Trainable
    tokenizer: Tokenizer
    prompts: tuple[SamplePrompt, ...]
    ranks: Ranks
    clock: Clock
    emit: Emit
    """On the first rank; elsewhere it does nothing."""
    stop: Stop


@dataclass(slots=True)
class TierState:
    """How far a tier is; together with the adapter and the optimizer, all that it goes on from."""

    step: int = 0
    """Steps done."""
    loss: float | None = None
    """Of the last step."""
    evaluated: int = 0
    """The step after which the held-out conversations were last read."""
    best_step: int = 0
    best_loss: float | None = None
    level: int = 0
    """That was enough, if memory ran out; 0 if it never did."""
    seconds: float = 0.0
    """Of training work."""


class TierRun:
    """The training of one tier."""

    def __init__(self, run: Run, outlined: TierOutline, level: Level) -> None:
        self._run = run
        self._model = run.model
        self._tier = outlined.tier
        self._objective = objective_of(outlined.tier)
        self._evaluation = outlined.evaluation
        self._store = outlined.store
        self._start = outlined.start
        self._batches = Batches(outlined.tier.train, outlined.packs)
        self._optimizer = make_optimizer(run.model.adapter, run.config.lora, outlined.tier.train)
        self._state = TierState()
        self._saved = self._replied = 0
        self._losses: dict[str, float] = {}
        """Of each conversation when it was last read."""
        self._level = level

    def train(self, parent: Sealed | None) -> Sealed | None:
        """Train the tier, or what is left of it; `parent` is the one that it goes on from, if any.

        Returns:
            The trained tier; None if it was asked to stop, and then what is done is saved. On
            other ranks than the first always None.

        Raises:
            UserError: It cannot go on.
        """
        if self._tier.kind == "preference" and not self._referred(parent):
            return None
        self._begin(parent)
        batches, state, run = self._batches, self._state, self._run
        steps = Steps(
            *(self._model, self._optimizer, batches, self._level, run.ranks, run.stop),
            objective=self._objective,
        )
        run.emit(TierStarted(self._tier.name, state.step, batches.steps, self._level.name.lower()))
        while self._between(steps.level):
            if state.step == batches.steps:
                return self._finished() if run.ranks.is_first else None
            if not self._stepped(steps):
                break
        self._save()
        return None

    def _referred(self, parent: Sealed | None) -> bool:
        """Let every pack know what the tier's parent finds; False if it was asked to stop.

        It is found out once, with the parent's adapter, and kept: also what goes on after an
        interruption is compared with the very same numbers.
        """
        run, packs = self._run, (*self._batches.packs, *self._evaluation)
        kept = self._store.reference() if run.ranks.is_first else None
        losses = run.ranks.from_first(
            np.load(BytesIO(content_of(kept.folder / REFERENCE))) if kept else None
        )
        if losses is None:
            self._put_on(parent)
            found = losses_of(
                *(self._model, packs, self._level, run.ranks, run.stop),
                lambda done: run.emit(Preparing("reading the reference, packs", done, len(packs))),
            )
            if found is None:
                return False
            losses = found.numpy()
            if run.ranks.is_first:
                self._store.keep_reference(lambda folder: np.save(folder / REFERENCE, losses))
        known = referred(packs, losses)
        count = len(self._batches.packs)
        self._batches = replace(self._batches, packs=known[:count])
        self._evaluation = known[count:]
        return True

    def _put_on(self, source: Sealed | None) -> None:
        """Put the adapter of a saved tier on every rank's model, or a fresh one."""
        if self._run.ranks.is_first:
            values = self._values(source)
            for name, parameter in self._model.adapter.items():
                parameter.data.copy_(values[name])
        self._run.ranks.give(self._model.adapter.values())

    def _begin(self, parent: Sealed | None) -> None:
        """Restore the saved state, or put in place what the tier begins with."""
        ranks = self._run.ranks
        saved = self._saved_state() if ranks.is_first else None
        self._state = ranks.from_first(TierState(**saved.facts) if saved else TierState())
        self._saved = self._state.step
        source = saved or parent
        self._put_on(source)
        carried = source if saved or self._tier.train.carry_optimizer else None
        with ranks.file_from_first(carried.folder / OPTIMIZER if carried else None) as file:
            if file:
                load_state(self._optimizer, file)
        if self._state.level:
            self._level = min(self._level, Level(self._state.level))

    def _saved_state(self) -> Sealed | None:
        saved = self._store.saved()
        if saved is None:
            return None
        if "rung" in saved.facts:  # what states before 0.2 call the level
            saved.facts["level"] = saved.facts.pop("rung")
        if saved.facts.keys() != {field.name for field in fields(TierState)}:
            return None
        best = saved.facts["best_step"]
        return saved if not best or self._store.best(best) else None

    def _values(self, source: Sealed | None) -> Mapping[str, Tensor]:
        model, lora = self._model, self._run.config.lora
        if source is not None:
            return checked(source.folder / ADAPTER, model, lora)
        if self._start is not None:
            return values_of(self._start, model, lora)
        return peft.fresh(peft.linears_in(model.adapter), lora, self._tier.train.seed)

    def _stepped(self, steps: Steps) -> bool:
        """Take a step; False if it was asked to stop."""
        begun = time.monotonic()
        reset_memory(self._model.device)
        taken = steps.take(self._state.step, self._lowered)
        if taken is None:
            return False
        state, clock = self._state, self._run.clock
        state.step += 1
        state.loss = taken.reached.loss
        seconds = time.monotonic() - begun
        state.seconds += seconds
        clock.read(taken.tokens)
        self._losses.update(taken.reached.documents)
        self._run.emit(
            Stepped(
                tier=self._tier.name,
                step=state.step,
                steps=self._batches.steps,
                epoch=state.step / self._batches.steps_per_epoch,
                loss=taken.reached.loss,
                learning_rate=taken.learning_rate,
                gradient_norm=taken.gradient_norm,
                tokens=taken.tokens,
                seconds=seconds,
                memory=memory_used(self._model.device),
                seconds_left=clock.seconds_left,
                preference=taken.reached.preference,
            )
        )
        return not taken.is_last

    def _lowered(self, level: Level) -> None:
        self._state.level = level
        self._run.emit(LevelLowered(self._tier.name, self._state.step, level.name.lower()))

    def _between(self, level: Level) -> bool:
        """Do what is due after the steps done so far; False if it was asked to stop meanwhile."""
        step, watch = self._state.step, self._run.config.watch
        is_end = step == self._batches.steps
        if (is_end or _is_due(step, watch.evaluate_every)) and not self._evaluated(level):
            return False
        if (is_end and watch.reply_every) or _is_due(step, watch.reply_every):
            self._reply()
        if _is_due(step, watch.save_every) and not is_end:
            self._save()
        return True

    def _evaluated(self, level: Level) -> bool:
        state, run = self._state, self._run
        self._report_worst()
        if not self._evaluation or state.evaluated == state.step:
            return True
        objective = self._objective
        reached = evaluate(self._model, self._evaluation, level, run.ranks, run.stop, objective)
        if reached is None:
            return False
        loss = reached.loss
        is_best = state.best_loss is None or loss < state.best_loss
        if is_best:
            state.best_step, state.best_loss = state.step, loss
            if run.ranks.is_first:
                self._store.keep_best(state.step, self._write_adapter)
        state.evaluated = state.step
        run.emit(Evaluated(self._tier.name, state.step, loss, is_best, reached.preference))
        return True

    def _report_worst(self) -> None:
        if self._losses:
            worst = worst_of(self._losses)
            self._run.emit(WorstDocuments(self._tier.name, self._state.step, worst))

    def _reply(self) -> None:
        step, run = self._state.step, self._run
        if self._replied == step or not (run.ranks.is_first or run.ranks.is_even):
            return
        self._replied = step
        writers = run.ranks if run.ranks.is_even else Ranks()
        name = f"{self._tier.train.seed}/{step}"
        for prompt in run.prompts:
            text = write(self._model, prompt, run.tokenizer, name, writers, run.stop)
            if writers.from_first(run.stop()):
                return
            run.emit(Replied(self._tier.name, step, prompt.name, text))

    def _save(self) -> None:
        state = self._state
        if self._saved == state.step:
            return
        self._saved = state.step
        if self._run.ranks.is_first:
            self._store.save(state.step, state.best_step, self._write_state, asdict(state))
        self._run.emit(Saved(self._tier.name, state.step))

    def _write_state(self, folder: Path) -> None:
        self._write_adapter(folder)
        save_state(self._optimizer, folder / OPTIMIZER)

    def _write_adapter(self, folder: Path, name: str = ADAPTER) -> None:
        config = self._run.config
        peft.save(folder / name, self._model.adapter, config.lora, config.base.model)

    def _finished(self) -> Sealed:
        state = self._state
        facts = {
            "tier": self._tier.name,
            "steps": state.step,
            "loss": state.loss,
            "evaluation": state.best_loss,
            "best_step": state.best_step,
            "seconds": state.seconds,
            "device": str(self._model.device),
            "torch": torch.__version__,
        }
        return self._store.finish(self._write_trained, facts)

    def _write_trained(self, folder: Path) -> None:
        """The adapter that goes on, and beside it the best one or the last one if it is another."""
        step = self._state.best_step
        if step in (0, self._state.step):
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


def checked(folder: Path, model: Trainable, lora: Lora) -> Mapping[str, Tensor]:
    """Return a saved adapter's tensors; `UserError` if it is not one for this model and `lora`."""
    found = peft.load(folder)
    peft.check(found, peft.linears_in(model.adapter), lora, clean(str(folder)))
    return found.tensors


def values_of(start: Start, model: Trainable, lora: Lora) -> Mapping[str, Tensor]:
    """Return the tensors of an adapter of another run, the same that the tier's key speaks of.

    `UserError` if it does not fit, or has changed meanwhile.
    """
    values = checked(start.folder, model, lora)
    if digest_of(start.folder / WEIGHTS_FILE) != start.digest:
        raise UserError(f"{clean(str(start.folder))} has changed meanwhile: run it again.")
    return values


def _is_due(step: int, every: int) -> bool:
    return bool(every and step and step % every == 0)


def evaluate(
    model: Trainable,
    packs: Sequence[Pack],
    level: Level,
    ranks: Ranks,
    stop: Stop,
    objective: Objective | None = None,
) -> Reached | None:
    """Return how well held-out packs are met; without an objective, how likely their tokens are.

    Returns:
        None if this process was asked to stop meanwhile; beside other ranks it never stops here.
    """
    losses = losses_of(model, packs, level, ranks, stop)
    return None if losses is None else (objective or Tokens()).reached(packs, losses)


def worst_of(losses: Mapping[str, float]) -> tuple[DocumentLoss, ...]:
    """Return the documents with the highest losses, the highest first."""
    worst = nlargest(WORST, losses.items(), key=itemgetter(1))
    return tuple(DocumentLoss(source, loss) for source, loss in worst)


class Clock:
    """Counts tokens against seconds, evaluation and saving included."""

    def __init__(self, tokens: int) -> None:
        """`tokens` are all that the run will read for training."""
        self._left = tokens
        self._done = 0
        self._begun = time.monotonic()
        self.steps = 0
        """Steps that this run has done."""

    @property
    def seconds(self) -> float:
        """Since work began."""
        return time.monotonic() - self._begun

    @property
    def seconds_left(self) -> float:
        """If the rest goes as what was done so far."""
        return self.seconds / self._done * self._left if self._done else 0.0

    def read(self, tokens: int) -> None:
        """A step with so many tokens is done."""
        self.steps += 1
        self._done += tokens
        self._left = max(self._left - tokens, 0)


def reset_memory(device: torch.device) -> None:
    """Begin to look for the peak anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def memory_used(device: torch.device) -> int:
    """Bytes: the peak of a GPU since it was reset, or what this process holds in main memory.

    On a system that does not say, 0.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0
    import resource  # Windows has none

    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
