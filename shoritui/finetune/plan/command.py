"""`shoritui finetune plan`: what a run would train, and the memory and time it takes.

It only shows; a forecast knows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Any, Final

import torch

from shoritui.blockml import clean
from shoritui.errors import UserError
from shoritui.finetune.config.choose import chosen
from shoritui.finetune.config.model import Config, Train
from shoritui.finetune.data.telling import tell
from shoritui.finetune.events import PlannedTier, Preparing, Told
from shoritui.finetune.model.interface import Rung
from shoritui.finetune.model.quiet import quieten
from shoritui.finetune.model.shape import Shape, misfit, read_config, shape_in, shape_named
from shoritui.finetune.plan.forecast import Forecast, Machine, machine_of, planner_of
from shoritui.finetune.plan.memory import in_gib
from shoritui.finetune.plan.speed import Speed, speed_of
from shoritui.finetune.run.outline import Outline, outline
from shoritui.finetune.run.walk import device_of

_FASTEST_FIRST: Final = sorted(Rung, reverse=True)


def plan(options: argparse.Namespace) -> int:
    """Prints what each tier has before it.

    Raises:
        UserError: The config, the base or the data cannot be used, or a number makes no sense.
    """
    quieten()
    if options.cap_gib is not None and not 0 < options.cap_gib < inf:
        raise UserError(f"--cap-gib is {options.cap_gib:g}: expected a number above 0.")
    shape = shape_named(options.shape) if options.shape is not None else None
    config = _config(options)
    outlined = _outlined(config, shape)
    if shape is None and outlined is not None:
        shape = _shape_of(outlined.folder)
    device = device_of(config) if config else _device()
    machine = machine_of(device, options.cap_gib)
    speed = Speed(0.0, 0.0, "it is not known for a GPU that is not here")
    if machine.kind == device.type:
        speed = speed_of(None if options.shape else config, device)
    planner = planner_of(shape, config, machine, speed)
    if outlined is not None:
        forecasts = planner.tiers(outlined.tiers, tell)
    else:
        train = config.tiers[0].train if config else Train()
        forecasts = [planner.full_pack(train, tell)]
    tell(Preparing("", 1, 1))
    what = _what(config, options.shape)
    if options.json:
        print(json.dumps(_facts(what, shape, machine, speed, forecasts), indent=2))
    else:
        print("\n".join(_lines(what, machine, speed, forecasts)))
    return 0


def _config(options: argparse.Namespace) -> Config | None:
    """The config; a plan for a shape can do without."""
    path: Path = options.config
    if options.shape is not None and not options.demo and not path.exists():
        return None
    return chosen(options)


def _outlined(config: Config | None, shape: Shape | None) -> Outline | None:
    """The tiers; for a shape only if the config's own base need not be brought for them."""
    if config is None:
        return None
    if shape is None or config.base.model == "demo" or _is_here(config):
        return outline(config, tell)
    tell(Told(f"{config.base.model} is not here to count tokens with: a full pack is planned."))
    return None


def _is_here(config: Config) -> bool:
    return (config.path.parent / Path(config.base.model).expanduser()).exists()


def _shape_of(folder: Path) -> Shape | None:
    """The base's shape if the fast network computes it."""
    facts = read_config(folder)
    if reason := misfit(facts):
        tell(Told(f"The memory of this base cannot be traced: {reason}."))
        return None
    return shape_in(facts)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _what(config: Config | None, shape: str | None) -> str:
    name = shape or (config.base.model if config else "")
    return f"{config.path}: {name}" if config else name


def _facts(
    what: str, shape: Shape | None, machine: Machine, speed: Speed, forecasts: Sequence[Forecast]
) -> dict[str, Any]:
    return {
        "plan": what,
        "shape": asdict(shape) if shape else None,
        "device": machine.name,
        "cap_bytes": machine.cap,
        "speed": asdict(speed),
        "tiers": [_tier_facts(forecast) for forecast in forecasts],
        "seconds": _total(forecasts),
    }


def _tier_facts(forecast: Forecast) -> dict[str, Any]:
    return {
        **asdict(forecast.tier),
        "efficiency": forecast.efficiency,
        "largest_pack": forecast.largest,
        "rungs": {
            rung.name.lower(): {
                "device_bytes": peak.device,
                "tensor_bytes": peak.tensors,
                "fixed_bytes": peak.fixed,
                "host_bytes": peak.host,
                "peak_at": peak.where,
                "operations": peak.products + peak.attention,
            }
            for rung, peak in forecast.peaks.items()
        },
        "rung": forecast.rung.name.lower() if forecast.rung else None,
        "problem": forecast.problem,
        "seconds": forecast.seconds,
    }


def _total(forecasts: Sequence[Forecast]) -> float | None:
    known = [forecast.seconds for forecast in forecasts if forecast.seconds is not None]
    return sum(known) if len(known) == len(forecasts) else None


def _lines(
    what: str, machine: Machine, speed: Speed, forecasts: Sequence[Forecast]
) -> Iterator[str]:
    yield clean(f"{what}, on {machine.name}: {in_gib(machine.cap)} to plan with")
    yield ""
    if forecasts[0].tier.name:
        head = ("tier", "after", "conversations", "tokens", "packs", "full", "steps", "state")
        yield from _table([head, *(_tier_row(forecast) for forecast in forecasts)], left=(0, 1, 7))
        yield ""
    rungs = [rung.name.lower() for rung in _FASTEST_FIRST]
    rows = [_memory_row(forecast) for forecast in forecasts if forecast.peaks]
    if rows:
        over = ("peak memory", "pack", *rungs, "main memory", "takes", "time")
        yield from _table([over, *rows], left=(0, 7))
        yield ""
    total = _total(forecasts)
    if forecasts[0].tier.name and total is not None:
        yield f"All that is to be trained: {_span(total)}."
    yield f"Memory is traced from the code of a step; time: {speed.source}."
    for problem in dict.fromkeys(forecast.problem for forecast in forecasts):
        if problem:
            yield problem


def _tier_row(forecast: Forecast) -> tuple[str, ...]:
    tier = forecast.tier
    counts = (tier.conversations, tier.tokens, tier.packs)
    return (
        clean(tier.name),
        clean(tier.after) or "-",
        *(f"{count:,}" for count in counts),
        f"{forecast.efficiency:.1%}",
        f"{tier.steps:,}",
        _state(tier),
    )


def _state(tier: PlannedTier) -> str:
    if tier.cached:
        return "cached"
    return f"to train from step {tier.resumes_at:,}" if tier.resumes_at else "to train"


def _memory_row(forecast: Forecast) -> tuple[str, ...]:
    offload = forecast.peaks[Rung.OFFLOAD]
    return (
        clean(forecast.tier.name) or "a full pack",
        f"{forecast.largest:,}",
        *(in_gib(forecast.peaks[rung].device) for rung in _FASTEST_FIRST),
        in_gib(offload.host) if offload.host else "-",
        forecast.rung.name.lower() if forecast.rung else "none fits",
        "-" if forecast.seconds is None else _span(forecast.seconds),
    )


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min"


def _table(rows: Sequence[tuple[str, ...]], left: Sequence[int]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
