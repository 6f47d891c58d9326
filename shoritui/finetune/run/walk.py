"""The walk through the tiers of a run that has something to train.

It does not know how a tier is trained, nor where events go.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

import torch

from shoritui.errors import UserError
from shoritui.finetune.config.model import Config
from shoritui.finetune.events import Event, RunEnded, Told
from shoritui.finetune.model.interface import Rung, Trainable
from shoritui.finetune.model.network import Network
from shoritui.finetune.model.opening import open_model
from shoritui.finetune.run.clock import Clock
from shoritui.finetune.run.distributed import Ranks, joined, local_rank
from shoritui.finetune.run.outline import Outline, Tell, TierOutline, outline, stopping
from shoritui.finetune.run.replies import openings
from shoritui.finetune.run.sharding import shared, spared
from shoritui.finetune.run.steps import Course
from shoritui.finetune.run.store import Sealed
from shoritui.finetune.run.tier import Run, TierRun
from shoritui.finetune.run.training import Emit, Stop, hand_over, last_adapter, started


def walk(config: Config, outlined: Outline, emit: Emit, stop: Stop) -> None:
    """Trains the tiers that are left, parents before children, in this process alone.

    Raises:
        UserError: The run cannot go on.
    """
    _Walk(config, outlined, device_of(config), Ranks(), emit, stop).go()


def walk_together(config: Config, emit: Emit, stop: Stop) -> None:
    """The whole run on one of several ranks; all of them come here.

    Raises:
        UserError: The run cannot go on; whoever started the ranks ends the others.
    """
    device = device_of(config)
    with joined(device) as ranks:
        tell = emit if ranks.is_first else _nobody
        mine = outline(config, tell) if ranks.is_first else None
        ranks.wait()  # the others then find the data tokenised
        outlined = mine or outline(config, tell)
        if not ranks.all_agree(" ".join(tier.key for tier in outlined.tiers)):
            raise UserError(
                "The ranks see different data, settings or bases: give every machine the same "
                "config, files and base."
            )
        known = ranks.from_first({tier.key: tier.is_trained for tier in outlined.tiers})
        tiers = tuple(replace(tier, is_trained=known[tier.key]) for tier in outlined.tiers)
        is_even = config.watch.sharding == "base" and ranks.size > 1
        ranks = replace(ranks, is_even=is_even)
        _Walk(config, replace(outlined, tiers=tiers), device, ranks, tell, stop).go()


def device_of(config: Config) -> torch.device:
    """Where to train.

    Raises:
        UserError: The config asks for a GPU, and PyTorch sees none.
    """
    wanted = config.watch.device
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError(
            f'{config.path}: [watch] device is "cuda", but PyTorch sees no GPU: install its '
            'driver, or set "auto".'
        )
    return torch.device("cuda", local_rank())


class _Walk:
    def __init__(
        self,
        config: Config,
        outlined: Outline,
        device: torch.device,
        ranks: Ranks,
        emit: Emit,
        stop: Stop,
    ) -> None:
        self._config = config
        self._outlined = outlined
        self._device = device
        self._ranks = ranks
        self._emit = emit
        self._stop = stop
        self._memory = _memory_of(device)  # before the base is there
        self._trained: dict[str, Sealed] = {}

    def go(self) -> None:
        self._emit(started(self._config, self._outlined, _called(self._device)))
        left = [tier for tier in self._outlined.tiers if not tier.is_trained]
        clock = Clock(sum(_tokens_left(tier) for tier in left))
        run: Run | None = None
        for tier in self._outlined.tiers:
            if tier.is_trained:
                self._take(tier)
                continue
            run = run or self._opened(clock)
            if not self._train(run, tier):
                self._emit(RunEnded(True, clock.steps, clock.seconds, ""))
                return
        adapter = last_adapter(self._config)
        self._emit(RunEnded(False, clock.steps, clock.seconds, adapter))

    def _take(self, tier: TierOutline) -> None:
        """Takes a tier that was trained before as it is."""
        name = tier.tier.name
        if not self._ranks.is_first:
            return
        trained = tier.store.trained()
        if trained is None:  # without it the next tier would begin anew, under its own key
            raise UserError(
                f"{tier.store.folder} has changed meanwhile: run it again to train {name} anew."
            )
        self._trained[name] = trained
        hand_over(self._config, name, trained, self._emit, cached=True)

    def _train(self, run: Run, tier: TierOutline) -> bool:
        """Trains a tier; False if it was asked to stop."""
        name, first = tier.tier.name, self._ranks.is_first
        lock: AbstractContextManager[None] = tier.store.lock(name) if first else nullcontext()
        with lock:
            found = tier.store.trained() if first else None
            if self._ranks.from_first(found is not None):
                self._take(tier)  # another run was quicker
                return True
            if first and tier.store.is_damaged:
                self._emit(Told(f"What was trained of tier {name} is damaged: it is trained anew."))
            self._set(run.model, tier)
            rung = self._ranks.from_first(self._rung(run.model, tier))
            trained = TierRun(run, tier, rung).train(self._trained.get(tier.tier.after))
        if trained:
            self._trained[name] = trained
            hand_over(self._config, name, trained, self._emit, cached=False)
        return self._ranks.from_first(trained is not None)

    def _set(self, model: Trainable, tier: TierOutline) -> None:
        train = tier.tier.train
        model.neftune = train.neftune
        if self._device.type == "cuda":
            torch.set_float32_matmul_precision("high" if train.tf32 else "highest")

    def _opened(self, clock: Clock) -> Run:
        config, outlined = self._config, self._outlined
        samples = [s for tier in outlined.tiers for s in tier.data.evaluation] or [
            s for tier in outlined.tiers for s in tier.data.train
        ]
        tell = stopping(self._emit, self._stop) if self._ranks.size == 1 else self._emit
        prompts = openings(config, outlined.tokenizer, samples) if config.watch.reply_every else []
        return Run(
            config=config,
            model=self._model(tell),
            tokenizer=outlined.tokenizer,
            openings=tuple(prompts),
            ranks=self._ranks,
            clock=clock,
            emit=self._emit,
            stop=self._stop,
        )

    def _model(self, tell: Tell) -> Trainable:
        folder, ranks = self._outlined.folder, self._ranks
        if not ranks.is_even:
            return open_model(self._config, folder, self._device, tell)
        hold = partial(shared, ranks=ranks)
        model = open_model(self._config, folder, self._device, tell, hold)
        if not model.is_fast:
            raise UserError(
                f"{self._config.path}: this base goes through transformers and cannot be shared "
                'out: set sharding = "none" in [watch].'
            )
        return model

    def _rung(self, model: Trainable, tier: TierOutline) -> Rung:
        """What the config says, or the fastest that the plan says will fit."""
        wanted = self._config.watch.rung
        if wanted != "auto":
            return Rung[wanted.upper()]
        if self._device.type == "cpu" or not isinstance(model, Network):
            return max(Rung)
        from shoritui.finetune.plan.memory import choose_rung, machine_memory, peaks

        # As `finetune plan` does: one document is the most that a pack can take.
        largest = max(len(pack.ids) for pack in tier.packs)
        planned = peaks(
            model.shape, self._config.base, self._config.lora, tier.tier.train, [largest]
        )
        layers = model.weights.layers
        less = spared(matrix for layer in layers for matrix in layer.projections.values())
        return choose_rung(planned, self._memory + less, machine_memory())


def _nobody(event: Event) -> None:
    """Hears nothing."""


def _memory_of(device: torch.device) -> int:
    """Bytes that are free on a GPU, as the plan counts them; nothing is planned on a CPU."""
    if device.type == "cpu":
        return 0
    from shoritui.finetune.plan.memory import memory_of  # it takes seconds to import

    return memory_of(device)


def _called(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def _tokens_left(tier: TierOutline) -> int:
    return Course(tier.tier.train, tier.packs).tokens_after(tier.saved_step)
