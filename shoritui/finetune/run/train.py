"""A whole run, from its config to its adapters; without torch where nothing has changed."""

from __future__ import annotations

from shoritui.finetune.config.model import Config
from shoritui.finetune.data.conversations import filled
from shoritui.finetune.events import Emit, RunEnded
from shoritui.finetune.plan.outline import Stop, Stopped, outline
from shoritui.finetune.run.adapter_folders import hand_over, last_adapter
from shoritui.host.process import is_one_of_many


def train(config: Config, emit: Emit, stop: Stop) -> None:
    """Train every tier of a config that is not trained yet, and put all where the config says.

    Which adapter of a tier goes on to the next one and to the output is the last step's, or, with
    `keep = "best"`, that of the step with the lowest loss on the held-out conversations.

    Args:
        config: What to train.
        emit: Hears everything, and `RunEnded` last; in a run of several ranks only on the first.
        stop: Asked often. Once it says yes, what is done is saved, and `RunEnded` says so.

    Raises:
        UserError: The run cannot go on; the sentence says why.
    """
    if is_one_of_many():
        from shoritui.finetune.run.runner import run_together

        run_together(config, emit, stop)
        return
    try:
        _train(config, emit, stop)
    except Stopped:
        emit(RunEnded(stopped=True, steps=0, seconds=0.0, adapter=""))


def _train(config: Config, emit: Emit, stop: Stop) -> None:
    config = filled(config, emit)
    outlined = outline(config, emit, stop)
    if not outlined.is_done:
        from shoritui.finetune.run.runner import run_alone

        run_alone(config, outlined, emit, stop)
        return
    emit(outlined.started(config, ""))
    for tier in outlined.tiers:
        if trained := tier.store.trained():
            hand_over(config, tier.tier.name, trained, emit, cached=True)
    emit(RunEnded(stopped=False, steps=0, seconds=0.0, adapter=last_adapter(config)))
