"""A whole run, as far as it needs no torch: what is there, and whether anything is left to train.

It does not know screens or processes: it tells events, and asks now and then whether to stop.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from shoritui.finetune.config.model import Config
from shoritui.finetune.events import Event, RunEnded, RunStarted, TierEnded
from shoritui.finetune.run.outline import Outline, Stopped, outline
from shoritui.finetune.run.output import deliver, place_of
from shoritui.finetune.run.store import Sealed

Emit = Callable[[Event], None]
Stop = Callable[[], bool]


def train(config: Config, emit: Emit, stop: Stop) -> None:
    """Trains every tier of a config that is not trained yet, and puts all where the config says.

    Which adapter of a tier goes on to the next one and to the output is the last step's, or, with
    `keep = "best"`, that of the step with the lowest loss on the held-out conversations.

    Args:
        config: What to train.
        emit: Is told everything, and `RunEnded` last; in a run of several ranks only the first
            one tells.
        stop: Asked often. Once it says yes, what is done is saved, and `RunEnded` tells so.

    Raises:
        UserError: The run cannot go on; the sentence says why.
    """
    if is_one_of_many():
        from shoritui.finetune.run.walk import walk_together

        walk_together(config, emit, stop)
        return
    try:
        _train(config, emit, stop)
    except Stopped:
        emit(RunEnded(stopped=True, steps=0, seconds=0.0, adapter=""))


def is_one_of_many() -> bool:
    """Whether `torchrun` started this process, perhaps beside others."""
    return "WORLD_SIZE" in os.environ and "RANK" in os.environ


def started(config: Config, outlined: Outline, device: str) -> RunStarted:
    """The first word of a run, on a device; on none if nothing is left to train."""
    tiers = tuple(tier.planned for tier in outlined.tiers)
    return RunStarted(str(config.path), config.base.model, device, tiers)


def hand_over(config: Config, tier: str, trained: Sealed, emit: Emit, *, cached: bool) -> None:
    """Puts a trained tier where the user finds it, and tells so.

    Raises:
        UserError: It cannot be put there.
    """
    place = place_of(config, tier)
    deliver(trained, place)
    loss = None if cached else trained.facts["loss"]
    emit(TierEnded(tier, cached, str(place), loss, trained.facts["evaluation"]))


def last_adapter(config: Config) -> str:
    """The folder of the tier that is trained last."""
    return str(place_of(config, config.tiers[-1].name))


def _train(config: Config, emit: Emit, stop: Stop) -> None:
    outlined = outline(config, emit, stop)
    if outlined.is_done:
        emit(started(config, outlined, ""))
        for tier in outlined.tiers:
            if trained := tier.store.trained():
                hand_over(config, tier.tier.name, trained, emit, cached=True)
        emit(RunEnded(stopped=False, steps=0, seconds=0.0, adapter=last_adapter(config)))
    else:
        from shoritui.finetune.run.walk import walk

        walk(config, outlined, emit, stop)
