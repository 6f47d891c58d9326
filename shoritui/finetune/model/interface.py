"""What a training loop may ask of a frozen base with an adapter on it.

Two kinds fit it: the fast network (llama, mistral) and any other architecture through PEFT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import torch
from torch import Tensor, nn

from shoritui.finetune.data.packs import Ids, Pack


class Level(IntEnum):
    """The checkpointing level: how much of a forward pass is kept; a higher one is faster."""

    OFFLOAD = 1
    """Each layer's input, in pinned main memory."""
    INPUTS = 2
    """Each layer's input."""
    HALVES = 3
    """What goes into attention and into the MLP."""
    ATTENTION = 4
    """That, and what attention gave: only projections and the MLP are done again."""
    ALL = 5
    """What projections gave as well: nothing large is done again."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Names the random choices of one micro-step, which hash functions then make.

    The same draw gives the same dropout and the same noise, at any level, after any resume.
    """

    seed: int
    step: int
    """The optimizer step of the tier."""
    pack: int
    """The pack within the step, over all ranks."""


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of one pack."""

    by_document: Tensor
    """(documents,), fp64: the sum over each one's learnt tokens, in nats, that is minus their
    log-probability; has a gradient in training."""

    @property
    def total(self) -> Tensor:
        """(), fp64: the sum over all learnt tokens."""
        return self.by_document.sum()


class Reading(Protocol):
    """One document, read as it grows."""

    def read(self, ids: Ids) -> Tensor:
        """Read on; (vocabulary,), fp32: the logits of what may follow all that was read."""
        ...


class Trainable(Protocol):
    """A frozen base and an adapter."""

    adapter: Mapping[str, nn.Parameter]
    """fp32 master weights by PEFT's names (`base_model...lora_A.weight`), in a fixed order."""
    device: torch.device
    is_fast: bool
    """Whether it is the network of this project, not the generic path."""
    neftune: float
    """The noise on embeddings, of the tier that is being trained: set when it begins."""

    def loss(self, pack: Pack, draw: Draw | None, level: Level) -> Loss:
        """The loss of a pack; without a draw nothing is random and no gradient is kept."""
        ...

    def logits(self, ids: Ids) -> Tensor:
        """(tokens, vocabulary), fp32, on the device: of one document, without gradient."""
        ...

    def reading(self, room: int) -> Reading:
        """A document of at most so many tokens, without gradient."""
        ...
