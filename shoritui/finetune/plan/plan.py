"""The plan of a run, or of a base's shape alone: its tiers, their memory and their time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from shoritui.demo import DEMO, SMOLLM2
from shoritui.finetune.config.model import Config, Train
from shoritui.finetune.data.conversations import filled
from shoritui.finetune.events import Preparing, Report, Reported
from shoritui.finetune.model.precision import device_of
from shoritui.finetune.model.shape import fast_shape, shape_named
from shoritui.finetune.plan.forecast import Forecast, Machine, machine_of, planner_of
from shoritui.finetune.plan.outline import outline
from shoritui.finetune.plan.speed import Speed, speed_of
from shoritui.folders import user_path
from shoritui.gguf.shape import Shape


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would train, and what it takes."""

    name: str
    shape: Shape | None
    """None if the fast network does not compute the base."""
    machine: Machine
    speed: Speed
    tiers: Sequence[Forecast]
    """One without a name, of a full pack, where there is no data to plan with."""

    @property
    def seconds(self) -> float | None:
        """Return the time of all tiers; None if one's is not known."""
        known = [tier.seconds for tier in self.tiers if tier.seconds is not None]
        return sum(known) if len(known) == len(self.tiers) else None


def plan(
    config: Config | None, shape_name: str | None, cap_gib: float | None, report: Report
) -> Plan:
    """Plan a config on its own base or on a base of this shape; without a config, a full pack.

    Raises:
        UserError: The shape is unknown, or the base or the data cannot be used.
    """
    shape = shape_named(shape_name) if shape_name is not None else None
    outlined = None
    if config is not None:
        config = filled(config, report)
        if shape is None or _is_here(config):
            outlined = outline(config, report)
        else:
            base = config.base.model
            report(Reported(f"{base} is not here to count tokens with: a full pack is planned."))
    if shape is None and config is not None and outlined is not None:
        shape = _shape_of(outlined.folder, config, report)
    gpu_or_cpu = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = device_of(config) if config else gpu_or_cpu
    machine = machine_of(device, cap_gib)
    speed = Speed(0.0, 0.0, "it is not known for a GPU that is not here")
    if machine.kind == device.type:
        speed = speed_of(None if shape_name else config, device)
    planner = planner_of(shape, config, machine, speed)
    if outlined is not None:
        forecasts = planner.tiers(outlined.tiers, report)
    else:
        train = config.tiers[0].train if config else Train()
        forecasts = [planner.full_pack(train, report)]
    report(Preparing("", 1, 1))
    base = shape_name or (config.base.model if config else "")
    return Plan(f"{config.path}: {base}" if config else base, shape, machine, speed, forecasts)


def _is_here(config: Config) -> bool:
    name = config.base.model
    return name in (DEMO, SMOLLM2) or user_path(name, config.path.parent).exists()


def _shape_of(folder: Path, config: Config, report: Report) -> Shape | None:
    shape = fast_shape(folder, config)
    if isinstance(shape, str):
        report(Reported(f"The memory of this base cannot be traced: {shape}."))
        return None
    return shape
