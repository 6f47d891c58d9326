"""The optimizer of an adapter, its learning rate over a tier's steps, and its state on disk."""

from __future__ import annotations

import importlib
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from shoritui.errors import UserError
from shoritui.files import open_file
from shoritui.finetune.config.model import Lora, Train
from shoritui.finetune.quiet_libraries import quieten, without_compiling


def make_optimizer(adapter: Mapping[str, nn.Parameter], lora: Lora, train: Train) -> Optimizer:
    """Return a fresh AdamW over the adapter: in 8 bits through bitsandbytes, or PyTorch's.

    The parameters are in two groups, those of A and those of B, whose learning rate is
    `lora.plus` times A's. `set_rate` sets them before each step.
    """
    groups = [_group(adapter, ".lora_A.", 1.0), _group(adapter, ".lora_B.", lora.plus)]
    settings: dict[str, Any] = {
        "lr": train.learning_rate,
        "betas": (train.beta1, train.beta2),
        "eps": train.epsilon,
        "weight_decay": train.weight_decay,
    }
    if train.optimizer == "adamw":
        return torch.optim.AdamW(groups, **settings)
    quieten()
    with without_compiling():
        library: Any = importlib.import_module("bitsandbytes.optim")
    optimizer: Optimizer = library.AdamW8bit(groups, **settings)
    return optimizer


def rate(train: Train, step: int, steps: int) -> float:
    """Return the learning rate of the step that comes after `step` of a tier's `steps`.

    Warmup rises to the full rate in `train.warmup` steps, whatever the schedule; `linear` and
    `cosine` fall from there, and would reach 0 in the step after the last.
    """
    warmup = train.warmup(steps)
    if step < warmup:
        return train.learning_rate * (step + 1) / warmup
    gone = (step - warmup) / max(steps - warmup, 1)
    if train.schedule == "linear":
        return train.learning_rate * (1 - gone)
    if train.schedule == "cosine":
        return train.learning_rate * (1 + math.cos(math.pi * gone)) / 2
    return train.learning_rate


def set_rate(optimizer: Optimizer, learning_rate: float) -> None:
    """Set A's learning rate, and B's as many times that as LoRA+ says."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["times"]


def save_state(optimizer: Optimizer, path: Path) -> None:
    """Write all that the next step depends on, bit for bit; forcing it to the disk is the caller's.

    Raises:
        OSError: It cannot be written.
    """
    with path.open("wb") as file:
        torch.save(optimizer.state_dict(), file)


def load_state(optimizer: Optimizer, path: Path) -> None:
    """Go on from a state that `save_state` wrote for an optimizer of the same kind.

    The settings (weight decay, betas, ...) stay those of the optimizer, not of the file.

    Raises:
        UserError: There is no such file, or it is damaged, or for another adapter.
    """
    try:
        with open_file(path) as file:
            state = torch.load(file, map_location="cpu", weights_only=True)
        state["param_groups"] = [
            {**ours, "params": theirs["params"]}
            for ours, theirs in zip(
                optimizer.state_dict()["param_groups"], state["param_groups"], strict=True
            )
        ]
        optimizer.load_state_dict(state)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} cannot be read ({error}): remove it to train anew.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is not the state of this optimizer ({error}): remove it to train anew."
        ) from None


def _group(adapter: Mapping[str, nn.Parameter], part: str, times: float) -> dict[str, Any]:
    return {"params": [one for name, one in adapter.items() if part in name], "times": times}
