"""What a run has before it: each tier's data, its steps, its key, and whether it is trained.

Nothing here needs torch, so a run in which nothing changed ends in a moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shoritui.errors import UserError
from shoritui.finetune.base_model import folder_of
from shoritui.finetune.cache.digests import digests_of, fingerprint_of
from shoritui.finetune.cache.keys import Root, keys_of
from shoritui.finetune.cache.tiers import TierStore
from shoritui.finetune.config.model import Config, Tier
from shoritui.finetune.config.starts import start_of
from shoritui.finetune.data.packs import Pack, packed, steps_of
from shoritui.finetune.data.tier import TierData, check_tokens, prepare
from shoritui.finetune.data.tokenizer import Tokenizer, open_tokenizer
from shoritui.finetune.events import PlannedTier, Preparing, Report, Reported, RunStarted
from shoritui.gguf.lora.peft import files_of

Stop = Callable[[], bool]
"""Asked now and then whether to save and end."""


@dataclass(frozen=True, slots=True)
class Start:
    """An adapter of another run."""

    folder: Path
    """As PEFT saved it."""
    digest: str
    """Of its factors."""


@dataclass(frozen=True, slots=True)
class TierOutline:
    """One tier, ready to be trained."""

    tier: Tier
    key: str
    data: TierData
    packs: tuple[Pack, ...]
    evaluation: tuple[Pack, ...]
    steps: int
    """Of all epochs."""
    is_trained: bool
    saved_step: int
    """The step that a run of it which was interrupted goes on from; 0 for none."""
    start: Start | None
    """The adapter of another run that it begins with."""
    same_as: str
    """The tier before it that has its key; empty if there is none."""

    @property
    def store(self) -> TierStore:
        """Its place on disk."""
        return TierStore(self.key)

    @property
    def pairs(self) -> int:
        """Of preferences, those that are learnt from."""
        return len(self.data.train) // 2 if self.tier.kind == "preference" else 0

    @property
    def planned(self) -> PlannedTier:
        """What the run's first event says of it."""
        return PlannedTier(
            name=self.tier.name,
            after=self.tier.after,
            conversations=self.data.conversations,
            tokens=self.data.tokens,
            packs=len(self.packs),
            steps=self.steps,
            cached=self.is_trained,
            resumes_at=self.saved_step,
            kind=self.tier.kind,
            pairs=self.pairs,
            same_as=self.same_as,
        )


@dataclass(frozen=True, slots=True)
class Outline:
    """A whole run."""

    folder: Path
    """Where the base lies."""
    tokenizer: Tokenizer
    tiers: tuple[TierOutline, ...]
    """Parents before their children."""

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to train."""
        return all(tier.is_trained for tier in self.tiers)

    def started(self, config: Config, device: str) -> RunStarted:
        """Return the run's first event; `device` is empty if nothing is left to train."""
        tiers = tuple(tier.planned for tier in self.tiers)
        return RunStarted(str(config.path), config.base.model, device, tiers)


class Stopped(Exception):
    """It was asked to stop before there was anything to save."""


def stopping(report: Report, stop: Stop) -> Report:
    """Return a `report` that raises `Stopped` once `stop` says yes."""

    def checked(event: Preparing | Reported) -> None:
        report(event)
        if stop():
            raise Stopped

    return checked


def outline(config: Config, report: Report, stop: Stop = lambda: False) -> Outline:
    """Read the data of all tiers, and look for what is trained already.

    Raises:
        Stopped: It said yes.
        UserError: The base or the data cannot be used, or the tiers do not fit each other.
    """
    _check(config)
    report = stopping(report, stop)
    folder = folder_of(config.base, report, config.path.parent)
    tokenizer = open_tokenizer(folder)
    if tokenizer.warning:
        report(Reported(tokenizer.warning))
    data = prepare(config, tokenizer, report)
    check_tokens(folder, data.values())
    report(Preparing("looking for what is trained already", 0, 0))
    fingerprints = {name: one.fingerprint for name, one in data.items()}
    root = Root(fingerprint_of(folder), tokenizer.fingerprint, config.base, config.lora)
    starts = {tier.name: start for tier in config.tiers if (start := _start(config, tier))}
    digests = {name: start.digest for name, start in starts.items()}
    keys = keys_of(config, root, fingerprints, digests)
    tiers: list[TierOutline] = []
    seen: dict[str, str] = {}
    for tier in config.tiers:
        key, start = keys[tier.name], starts.get(tier.name)
        tiers.append(_outlined(tier, key, data[tier.name], start, seen.get(key, "")))
        seen.setdefault(key, tier.name)
    return Outline(folder, tokenizer, tuple(tiers))


def _start(config: Config, tier: Tier) -> Start | None:
    folder = start_of(config, tier)
    if folder is None:
        return None
    _, weights = files_of(folder)
    return Start(folder, digests_of([weights])[weights])


def _outlined(
    tier: Tier, key: str, data: TierData, start: Start | None, same_as: str
) -> TierOutline:
    packs = packed(tier, data.train)
    store = TierStore(key)
    is_trained = store.trained() is not None
    saved = None if is_trained else store.saved()
    return TierOutline(
        tier=tier,
        key=key,
        data=data,
        packs=packs,
        evaluation=packed(tier, data.evaluation),
        steps=steps_of(packs, tier.train),
        is_trained=is_trained,
        saved_step=int(saved.facts["step"]) if saved else 0,
        start=start,
        same_as=same_as,
    )


def _check(config: Config) -> None:
    """Check that an optimizer that is carried on is of the kind that its tier has."""
    tiers = {tier.name: tier for tier in config.tiers}
    for tier in config.tiers:
        if not tier.train.carry_optimizer or not tier.parent:
            continue
        before = tiers[tier.parent]
        if before.train.optimizer != tier.train.optimizer:
            raise UserError(
                f"{config.path}: tier {tier.name} carries on the optimizer of {before.name}, "
                f"which is {before.train.optimizer}: set the same one, or carry_optimizer = false."
            )
