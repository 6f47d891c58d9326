"""What a run would do, tier by tier: data, steps, memory of each rung, time.

It does not know how any of it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from shoritui.errors import UserError
from shoritui.finetune.config.model import Base, Config, Lora, Train
from shoritui.finetune.data.sample import Pack
from shoritui.finetune.events import PlannedTier, Preparing
from shoritui.finetune.model.interface import Rung
from shoritui.finetune.model.shape import Shape
from shoritui.finetune.plan.memory import Peak, choose_rung, machine_memory, peaks
from shoritui.finetune.plan.speed import Speed
from shoritui.finetune.plan.step import Kind
from shoritui.finetune.run.outline import TierOutline

Tell = Callable[[Preparing], None]


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
    peaks: Mapping[Rung, Peak]
    """Empty for a base that goes through transformers, which cannot be traced."""
    rung: Rung | None
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
    """The rung that the config says, or `auto`."""
    machine: Machine
    speed: Speed
    traced: dict[tuple[Train, int], Mapping[Rung, Peak]]
    """What was traced so far."""

    def tiers(self, outlined: Sequence[TierOutline], tell: Tell) -> list[Forecast]:
        """One each; tiers that are trained alike are traced once, with the largest pack of all."""
        largest: dict[Train, int] = {}
        for tier in outlined:
            train = _alike(tier.tier.train)
            sizes = [len(pack.ids) for pack in tier.packs]
            largest[train] = max(largest.get(train, 0), *sizes)
        return [self._tier(tier, largest[_alike(tier.tier.train)], tell) for tier in outlined]

    def full_pack(self, train: Train, tell: Tell) -> Forecast:
        """Of a pack that is one document, of which nothing more is known."""
        size = train.sequence_len
        found = self._peaks(train, size, tell)
        rung, problem = self._choice(found)
        seconds = self.speed.seconds(found[rung], [[size]]) if rung and found else None
        planned = PlannedTier("", "", 0, size, 1, 0, cached=False)
        return Forecast(planned, 1.0, size, found, rung, problem, seconds)

    def _tier(self, outlined: TierOutline, largest: int, tell: Tell) -> Forecast:
        train, planned = outlined.tier.train, outlined.planned
        found = self._peaks(train, largest, tell)
        rung, problem = self._choice(found)
        seconds = None
        if planned.cached:
            seconds = 0.0
        elif rung and found:
            rest = train.epochs * (1 - planned.resumes_at / max(planned.steps, 1))
            once = self.speed.seconds(found[rung], [_lengths(pack) for pack in outlined.packs])
            seconds = None if once is None else rest * once
        return Forecast(
            tier=planned,
            efficiency=planned.tokens / (planned.packs * train.sequence_len),
            largest=largest,
            peaks=found,
            rung=rung,
            problem=problem,
            seconds=seconds,
        )

    def _peaks(self, train: Train, size: int, tell: Tell) -> Mapping[Rung, Peak]:
        """As if the pack were one document: the most that it can take."""
        if self.shape is None:
            return {}
        key = _alike(train), size
        if key not in self.traced:
            tell(Preparing("tracing a step on each rung", 0, 0))
            self.traced[key] = peaks(
                *(self.shape, self.base, self.lora, train, [size]), kind=self.machine.kind
            )
        return self.traced[key]

    def _choice(self, found: Mapping[Rung, Peak]) -> tuple[Rung | None, str]:
        if not found:
            return None, ""
        allowed = found
        if self.wanted != "auto":
            rung = Rung[self.wanted.upper()]
            allowed = {rung: found[rung]}
        try:
            return choose_rung(allowed, self.machine.cap, self.machine.host), ""
        except UserError as error:
            return None, str(error)


def planner_of(
    shape: Shape | None, config: Config | None, machine: Machine, speed: Speed
) -> Planner:
    """A planner for a config's base, or for the card's."""
    base, lora, wanted = Base(), Lora(), "auto"
    if config is not None:
        base, lora, wanted = config.base, config.lora, config.watch.rung
    return Planner(shape, base, lora, wanted, machine, speed, {})


def machine_of(device: torch.device, cap_gib: float | None) -> Machine:
    """This machine, or a GPU that has so much memory."""
    from shoritui.finetune.plan.memory import GIB, memory_of

    if cap_gib is not None:
        return Machine("cuda", f"a GPU with {cap_gib:g} GiB", int(cap_gib * GIB), None)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return Machine("cuda", name, memory_of(device), machine_memory())
    return Machine("cpu", "this CPU", machine_memory(), None)


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
