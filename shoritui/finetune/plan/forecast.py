"""What a run would do, tier by tier: data, steps, memory at each checkpointing level, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch

from shoritui.errors import UserError
from shoritui.finetune.config.model import Base, Config, Lora, Train
from shoritui.finetune.data.packs import Pack, efficiency
from shoritui.finetune.events import PlannedTier, Preparing, Report
from shoritui.finetune.model.interface import Level
from shoritui.finetune.plan.outline import TierOutline
from shoritui.finetune.plan.speed import Speed
from shoritui.finetune.plan.step import Kind
from shoritui.finetune.plan.step_memory import GIB, Peak, choose_level, memory_of, peaks
from shoritui.gguf.shape import Shape
from shoritui.host.machine import free_memory

_REFERENCE: Final = 1 / 3
"""Of an epoch's time: every preference is read once more, on the way there alone."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is planned for."""

    kind: Kind
    name: str
    cap: int
    """Bytes that training may take of the device."""
    host: int | None
    """Bytes of main memory beside a GPU; None if it is another machine's."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """One tier, or a full pack where no tier is known."""

    tier: PlannedTier
    efficiency: float
    """Tokens over the places that the packs have for them."""
    largest: int
    """Tokens of the largest pack."""
    peaks: Mapping[Level, Peak]
    """Empty for a base that goes through transformers, which cannot be traced."""
    level: Level | None
    """The one it will take; None if none fits."""
    problem: str
    """Why none fits; else empty."""
    seconds: float | None
    """Of what is still to be trained; None if it is not known."""


@dataclass(frozen=True, slots=True)
class Planner:
    """Forecasts tiers of one base on one machine."""

    shape: Shape | None
    base: Base
    lora: Lora
    wanted: str
    """The level that the config asks for, or `auto`."""
    machine: Machine
    speed: Speed
    traced: dict[tuple[Train, int], Mapping[Level, Peak]]
    """What was traced so far."""

    def tiers(self, outlined: Sequence[TierOutline], report: Report) -> list[Forecast]:
        """Forecast each tier; those trained alike are traced once, with the largest pack of all."""
        largest: dict[Train, int] = {}
        for tier in outlined:
            train = _alike(tier.tier.train)
            sizes = [len(pack.ids) for pack in tier.packs]
            largest[train] = max(largest.get(train, 0), *sizes)
        return [self._tier(tier, largest[_alike(tier.tier.train)], report) for tier in outlined]

    def full_pack(self, train: Train, report: Report) -> Forecast:
        """Forecast a pack that is one document, of which nothing more is known."""
        size = train.sequence_len
        found = self._peaks(train, size, report)
        level, problem = self._choice(found)
        seconds = self.speed.seconds(found[level], [[size]]) if level and found else None
        planned = PlannedTier("", "", 0, size, 1, 0, cached=False)
        return Forecast(planned, 1.0, size, found, level, problem, seconds)

    def _tier(self, outlined: TierOutline, largest: int, report: Report) -> Forecast:
        train, planned = outlined.tier.train, outlined.planned
        found = self._peaks(train, largest, report)
        level, problem = self._choice(found)
        seconds = None
        if planned.cached or planned.same_as:
            seconds = 0.0
        elif level and found:
            rest = train.epochs * (1 - planned.resumes_at / max(planned.steps, 1))
            if planned.kind == "preference" and not planned.resumes_at:
                rest += _REFERENCE
            once = self.speed.seconds(found[level], [_lengths(pack) for pack in outlined.packs])
            seconds = None if once is None else rest * once
        return Forecast(
            tier=planned,
            efficiency=efficiency(outlined.packs, train.sequence_len),
            largest=largest,
            peaks=found,
            level=level,
            problem=problem,
            seconds=seconds,
        )

    def _peaks(self, train: Train, size: int, report: Report) -> Mapping[Level, Peak]:
        """As if the pack were one document: the most that it can take."""
        if self.shape is None:
            return {}
        key = _alike(train), size
        if key not in self.traced:
            report(Preparing("tracing a step at each checkpointing level", 0, 0))
            self.traced[key] = peaks(
                *(self.shape, self.base, self.lora, train, [size]), kind=self.machine.kind
            )
        return self.traced[key]

    def _choice(self, found: Mapping[Level, Peak]) -> tuple[Level | None, str]:
        if not found:
            return None, ""
        allowed = found
        if self.wanted != "auto":
            level = Level[self.wanted.upper()]
            allowed = {level: found[level]}
        try:
            return choose_level(allowed, self.machine.cap, self.machine.host), ""
        except UserError as error:
            return None, str(error)


def planner_of(
    shape: Shape | None, config: Config | None, machine: Machine, speed: Speed
) -> Planner:
    """Return a planner for a config's base, or for the card's."""
    base, lora, wanted = Base(), Lora(), "auto"
    if config is not None:
        base, lora, wanted = config.base, config.lora, config.watch.rung
    return Planner(shape, base, lora, wanted, machine, speed, {})


def machine_of(device: torch.device, cap_gib: float | None) -> Machine:
    """Return this machine, or a GPU that has so much memory."""
    if cap_gib is not None:
        return Machine("cuda", f"a GPU with {cap_gib:g} GiB", int(cap_gib * GIB), None)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return Machine("cuda", name, memory_of(device), free_memory())
    return Machine("cpu", "this CPU", free_memory(), None)


def _alike(train: Train) -> Train:
    """What of it matters to memory, the rest as by default."""
    return Train(
        sequence_len=train.sequence_len,
        optimizer=train.optimizer,
        precision=train.precision,
        neftune=train.neftune,
    )


def _lengths(pack: Pack) -> list[int]:
    return [end - begin for begin, end in pairwise(pack.starts)]
