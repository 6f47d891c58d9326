"""Where a network computes, in which types, and how many tokens at a time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Final

import torch

from shoritui.errors import UserError
from shoritui.finetune.config.model import Config

TYPES: Final = {"bf16": torch.bfloat16, "fp32": torch.float32}
"""By the words of a config's `precision`."""


@dataclass(frozen=True, slots=True)
class Precision:
    """Two types: what passes from layer to layer, and what is computed with inside."""

    stream: torch.dtype
    work: torch.dtype


@dataclass(frozen=True, slots=True)
class Tuning:
    """What decides speed and memory, and hardly a digit of the result."""

    precision: Precision
    chunk: int
    """Tokens that are computed at a time where they are independent."""
    loss_chunk: int
    """Tokens whose logits exist at a time."""
    mask: torch.dtype = torch.bool
    """Of dropout: bool takes the fewest bytes, but a processor is ten times faster at integers."""
    softmax_rows: int = 1024
    """Tokens whose logits are made probabilities at a time: as many as a cache holds."""


def tuning_for(kind: str, stream: torch.dtype) -> Tuning:
    """Return what suits a kind of device (`cpu`, `cuda`), for a stream of this type."""
    if kind != "cpu":
        return Tuning(Precision(stream, stream), chunk=2048, loss_chunk=1024)
    is_slow = stream != torch.float32 and not _has_fast_bf16()
    work = torch.float32 if is_slow else stream
    mask = torch.int32 if work == torch.float32 else torch.int16
    return Tuning(Precision(stream, work), chunk=512, loss_chunk=512, mask=mask, softmax_rows=16)


def device_of(config: Config) -> torch.device:
    """Return where to train; under `torchrun` each process has a GPU of its own.

    Raises:
        UserError: The config asks for a GPU, and PyTorch sees none.
    """
    wanted = config.watch.device
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError(
            f'{config.path}: [watch] device is "cuda", but PyTorch sees no GPU: install its '
            'driver, or set "auto".'
        )
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


@cache
def _has_fast_bf16() -> bool:
    """Without these instructions bf16 is ten to a hundred times slower than fp32."""
    return torch.cpu._is_avx512_bf16_supported()
