"""The runner of a run that has something to train: tier by tier, parents before children."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

import torch

from shoritui.errors import UserError
from shoritui.finetune.cache.tiers import Sealed
from shoritui.finetune.config.model import Config
from shoritui.finetune.data.conversations import filled
from shoritui.finetune.events import Emit, Report, Reported, RunEnded
from shoritui.finetune.model.interface import Level, Trainable
from shoritui.finetune.model.load import open_model
from shoritui.finetune.model.network import Network
from shoritui.finetune.model.precision import device_of
from shoritui.finetune.plan.outline import Outline, Stop, TierOutline, outline, stopping
from shoritui.finetune.run.adapter_folders import hand_over, last_adapter
from shoritui.finetune.run.distributed import Ranks, joined, shared, spared
from shoritui.finetune.run.replies import sample_prompts
from shoritui.finetune.run.steps import Batches
from shoritui.finetune.run.tier import Clock, Run, TierRun, values_of


def run_alone(config: Config, outlined: Outline, emit: Emit, stop: Stop) -> None:
    """Train the tiers that are left, parents before children, in this process alone.

    Raises:
        UserError: The run cannot go on.
    """
    _Runner(config, outlined, device_of(config), Ranks(), emit, stop).run()


def run_together(config: Config, emit: Emit, stop: Stop) -> None:
    """Do the whole run on one of several ranks; all of them come here.

    Raises:
        UserError: The run cannot go on; whoever started the ranks ends the others.
    """
    device = device_of(config)
    with joined(device) as ranks:
        emit = emit if ranks.is_first else lambda event: None  # which speaks for all
        config = filled(config, emit)
        mine = outline(config, emit) if ranks.is_first else None
        ranks.wait()  # the others then find the data tokenised
        outlined = mine or outline(config, emit)
        if not ranks.all_agree(" ".join(tier.key for tier in outlined.tiers)):
            raise UserError(
                "The ranks see different data, settings or bases: give every machine the same "
                "config, files and base."
            )
        known = ranks.from_first({tier.key: tier.is_trained for tier in outlined.tiers})
        tiers = tuple(replace(tier, is_trained=known[tier.key]) for tier in outlined.tiers)
        is_even = config.watch.sharding == "base" and ranks.size > 1
        ranks = replace(ranks, is_even=is_even)
        _Runner(config, replace(outlined, tiers=tiers), device, ranks, emit, stop).run()


class _Runner:
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

    def run(self) -> None:
        device = self._device
        called = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
        self._emit(self._outlined.started(self._config, called))
        left = [each for each in self._outlined.tiers if not (each.is_trained or each.same_as)]
        batches = [(Batches(tier.tier.train, tier.packs), tier.saved_step) for tier in left]
        clock = Clock(sum(each.tokens_after(step) for each, step in batches))
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
        """Take a tier that was trained before as it is."""
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
        """Train a tier; False if it was asked to stop."""
        name, first = tier.tier.name, self._ranks.is_first
        lock: AbstractContextManager[None] = tier.store.lock(name) if first else nullcontext()
        with lock:
            found = tier.store.trained() if first else None
            if self._ranks.from_first(found is not None):
                self._take(tier)  # another run was quicker
                return True
            if first and tier.store.is_damaged:
                self._emit(
                    Reported(f"What was trained of tier {name} is damaged: it is trained anew.")
                )
            self._set(run.model, tier)
            level = self._ranks.from_first(self._level(run.model, tier))
            trained = TierRun(run, tier, level).train(self._trained.get(tier.tier.parent))
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
        # Of a pair one document is enough: both have the same context.
        samples = [
            *(s for tier in outlined.tiers for s in tier.data.evaluation[:: tier.tier.together]),
        ] or [s for tier in outlined.tiers for s in tier.data.train[:: tier.tier.together]]
        prompts = (
            sample_prompts(config, outlined.tokenizer, samples) if config.watch.reply_every else []
        )
        model = self._model()
        for tier in outlined.tiers if self._ranks.is_first else ():
            if tier.start and not tier.is_trained:  # before others are trained for hours
                values_of(tier.start, model, config.lora)
        return Run(
            config=config,
            model=model,
            tokenizer=outlined.tokenizer,
            prompts=tuple(prompts),
            ranks=self._ranks,
            clock=clock,
            emit=self._emit,
            stop=self._stop,
        )

    def _model(self) -> Trainable:
        folder, ranks = self._outlined.folder, self._ranks
        report: Report = stopping(self._emit, self._stop) if ranks.size == 1 else self._emit
        if not ranks.is_even:
            return open_model(self._config, folder, self._device, report)
        hold = partial(shared, ranks=ranks)
        model = open_model(self._config, folder, self._device, report, hold)
        if not model.is_fast:
            raise UserError(
                f"{self._config.path}: this base goes through transformers and cannot be shared "
                'out: set sharding = "none" in [watch].'
            )
        return model

    def _level(self, model: Trainable, tier: TierOutline) -> Level:
        """What the config says, or the fastest that the plan says will fit."""
        wanted = self._config.watch.rung
        if wanted != "auto":
            return Level[wanted.upper()]
        if not isinstance(model, Network):
            return max(Level)
        from shoritui.finetune.plan.step_memory import choose_level, peaks
        from shoritui.host.machine import free_memory

        # As `finetune plan` does: one document is the most that a pack can take.
        largest = max(len(pack.ids) for pack in tier.packs)
        lora, train, kind = self._config.lora, tier.tier.train, self._device.type
        if kind == "cpu":  # what does not fit there is only slow
            (most,) = peaks(
                *(model.shape, self._config.base, lora, train, [largest]),
                kind="cpu",
                levels=(Level.ALL,),
            ).values()
            return Level.ALL if most.device <= free_memory() else Level.ATTENTION
        planned = peaks(model.shape, self._config.base, lora, train, [largest])
        layers = model.weights.layers
        less = spared(matrix for layer in layers for matrix in layer.projections.values())
        return choose_level(planned, self._memory + less, free_memory())


def _memory_of(device: torch.device) -> int:
    """Bytes that are free on a GPU, as the plan counts them; nothing is planned on a CPU."""
    if device.type == "cpu":
        return 0
    from shoritui.finetune.plan.step_memory import memory_of  # it takes seconds to import

    return memory_of(device)
