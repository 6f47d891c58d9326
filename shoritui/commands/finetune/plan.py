"""`shoritui finetune plan`: what a run would train, and the memory and time it needs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from shoritui.commands.arguments import add_json
from shoritui.commands.finetune.arguments import (
    add_cap,
    add_config,
    add_demo,
    cap_of,
    finetune_extra,
)
from shoritui.commands.finetune.output import report
from shoritui.commands.output import print_json
from shoritui.finetune.config.load import chosen
from shoritui.finetune.events import PlannedTier
from shoritui.text import clean, counted, duration, size, table

if TYPE_CHECKING:
    from shoritui.finetune.model.interface import Level
    from shoritui.finetune.plan.forecast import Forecast
    from shoritui.finetune.plan.plan import Plan

DESCRIPTION: Final = """\
Print each tier's conversations, tokens, packs and steps, whether it is already trained, and the
peak memory at each checkpointing level, traced from the training code. No GPU is needed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    add_demo(parser)
    add_cap(parser, "plan for a GPU with this much memory")
    parser.add_argument(
        "--shape",
        metavar="SHAPE",
        help="plan for a base of this shape, such as mistral-7b, instead of the config's",
    )
    add_json(parser)


@finetune_extra()
def run(options: argparse.Namespace) -> int:
    """Print what each tier needs.

    Raises:
        UserError: The config, the base or the data cannot be used, or a number makes no sense.
    """
    from shoritui.finetune.plan.plan import plan
    from shoritui.finetune.quiet_libraries import quieten

    quieten()
    cap = cap_of(options)
    can_do_without = options.shape is not None and not options.demo and not options.config.exists()
    planned = plan(None if can_do_without else chosen(options), options.shape, cap, report)
    if options.json:
        print_json(_facts(planned))
    else:
        print("\n".join(_lines(planned)))
    return 0


def _facts(plan: Plan) -> dict[str, Any]:
    return {
        "plan": plan.name,
        "shape": asdict(plan.shape) if plan.shape else None,
        "device": plan.machine.name,
        "cap_bytes": plan.machine.cap,
        "speed": asdict(plan.speed),
        "tiers": [_tier_facts(tier) for tier in plan.tiers],
        "seconds": plan.seconds,
    }


def _tier_facts(forecast: Forecast) -> dict[str, Any]:
    return {
        **asdict(forecast.tier),
        "efficiency": forecast.efficiency,
        "largest_pack": forecast.largest,
        "levels": {
            level.name.lower(): {
                "device_bytes": peak.device,
                "tensor_bytes": peak.work.tensors,
                "fixed_bytes": peak.work.fixed,
                "host_bytes": peak.work.host,
                "peak_at": peak.work.where,
                "operations": peak.work.products + peak.work.attention,
            }
            for level, peak in forecast.peaks.items()
        },
        "level": forecast.level.name.lower() if forecast.level else None,
        "problem": forecast.problem,
        "seconds": forecast.seconds,
    }


def _lines(plan: Plan) -> Iterator[str]:
    machine, tiers = plan.machine, plan.tiers
    yield clean(f"{plan.name}, on {machine.name}: {size(machine.cap)} available")
    yield ""
    if tiers[0].tier.name:
        head = ("tier", "after", "conversations", "tokens", "packs", "full", "steps", "state")
        yield from table([head, *map(_tier_row, tiers)], right=range(2, 7))
        yield ""
    traced = [tier for tier in tiers if tier.peaks]
    if traced:
        levels = [level.name.lower() for level in _fastest_first(traced[0])]
        columns = ("peak memory", "pack", *levels, "main memory", "takes", "time")
        right = [
            place for place, name in enumerate(columns) if name not in ("peak memory", "takes")
        ]
        yield from table([columns, *map(_memory_row, traced)], right)
        yield ""
    if tiers[0].tier.name and plan.seconds is not None:
        yield f"Training all of it takes about {duration(plan.seconds)}."
    yield "The memory is traced from the code of a training step."
    yield f"The time is an estimate: {plan.speed.source}."
    yield from dict.fromkeys(tier.problem for tier in tiers if tier.problem)


def _tier_row(forecast: Forecast) -> tuple[str, ...]:
    tier = forecast.tier
    preferences = f"{tier.conversations:,} ({counted(tier.pairs, 'pair')})"
    counts = (tier.tokens, tier.packs)
    return (
        clean(tier.name),
        clean(tier.after) or "-",
        preferences if tier.kind == "preference" else f"{tier.conversations:,}",
        *(f"{count:,}" for count in counts),
        f"{forecast.efficiency:.1%}",
        f"{tier.steps:,}",
        _state(tier),
    )


def _state(tier: PlannedTier) -> str:
    if tier.same_as:
        return clean(f"the same as {tier.same_as}")
    if tier.cached:
        return "cached"
    return f"to train from step {tier.resumes_at:,}" if tier.resumes_at else "to train"


def _memory_row(forecast: Forecast) -> tuple[str, ...]:
    levels = _fastest_first(forecast)
    offload = forecast.peaks[levels[-1]]
    return (
        clean(forecast.tier.name) or "a full pack",
        f"{forecast.largest:,}",
        *(size(forecast.peaks[level].device) for level in levels),
        size(offload.work.host) if offload.work.host else "-",
        forecast.level.name.lower() if forecast.level else "none fits",
        "-" if forecast.seconds is None else duration(forecast.seconds),
    )


def _fastest_first(forecast: Forecast) -> list[Level]:
    return sorted(forecast.peaks, reverse=True)
