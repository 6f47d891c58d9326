"""Random choices made by hashing where they are made: nothing is stored, no state is advanced.

(seed, step, pack, layer, site) ─ key_of ─▶ one hash per token x one hash per feature ─▶ mask
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shoritui.finetune.model.interface import Draw

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_MIXERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def key_of(draw: Draw, layer: int, site: int) -> int:
    """Return 64 bits that name one place of one micro-step."""
    key = 0
    for part in (draw.seed, draw.step, draw.pack, layer, site):
        key = _mixed(key ^ _mixed(part))
    return key


@dataclass(frozen=True, slots=True)
class Grid:
    """Random numbers, one for every (token, feature): int32, the product of two odd hashes.

    For a token the features' numbers are independent of each other, as the features' hashes are;
    for a feature the tokens' are. A product costs one pass over memory, a hash of each would ten.
    """

    rows: Tensor
    """(tokens, 1)."""
    columns: Tensor
    """(1, features)."""

    def numbers(self, span: slice) -> Tensor:
        """(tokens of the span, features), int32."""
        return self.rows[span] * self.columns


def grid_of(key: int, tokens: int, features: int, device: torch.device) -> Grid:
    """Return the random numbers of one place."""
    return Grid(
        _odd(_mixed(key ^ 1), tokens, device)[:, None],
        _odd(_mixed(key ^ 2), features, device)[None],
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """Which inputs of a chunk an adapter sees."""

    mask: Tensor
    """1 for seen and 0 for dropped, as wide as what it is for; or, bool, whether it is dropped."""

    def of(self, x: Tensor) -> Tensor:
        """x with zeros for what is dropped."""
        if self.mask.dtype == torch.bool:
            return x.masked_fill(self.mask, 0)
        return (x.view(self.mask.dtype) * self.mask).view(x.dtype)  # the bits, times 1 or 0

    def of_(self, x: Tensor) -> Tensor:
        """The same in place."""
        if self.mask.dtype == torch.bool:
            return x.masked_fill_(self.mask, 0)
        x.view(self.mask.dtype).mul_(self.mask)
        return x


def seen(x: Tensor, kept: Kept | None) -> Tensor:
    """Return what an adapter sees of x: all of it where there is no mask."""
    return kept.of(x) if kept else x


@dataclass(frozen=True, slots=True)
class DropoutMask:
    """Which inputs an adapter sees."""

    grid: Grid
    threshold: int
    dtype: torch.dtype

    def kept(self, span: slice) -> Kept:
        """(tokens of the span, features)."""
        numbers = self.grid.numbers(span)
        if self.dtype == torch.bool:
            return Kept(numbers < self.threshold)
        # In place: what a processor compares to bools or floats takes three times as long.
        return Kept(numbers.ge_(self.threshold).to(self.dtype))


def mask_of(
    key: int, tokens: int, features: int, rate: float, dtype: torch.dtype, device: torch.device
) -> DropoutMask:
    """Return the mask of one place, which drops inputs at this rate; its type is for speed."""
    threshold = round(rate * (1 << 32)) - (1 << 31)
    return DropoutMask(grid_of(key, tokens, features, device), threshold, dtype)


def noise_of(key: int, tokens: int, features: int, device: torch.device) -> Tensor:
    """(tokens, features), fp32: even noise between -1 and 1."""
    return grid_of(key, tokens, features, device).numbers(slice(None)).float().mul_(2.0**-31)


def _odd(key: int, count: int, device: torch.device) -> Tensor:
    """(count,) odd int32 numbers: splitmix64 of key + index, its upper half."""
    number = torch.arange(1, count + 1, dtype=torch.int64, device=device) * _signed(_STEP)
    number += _signed(key)
    for shift, mixer in zip((30, 27), _MIXERS, strict=True):
        number ^= (number >> shift) & ((1 << (64 - shift)) - 1)
        number *= _signed(mixer)
    number ^= (number >> 31) & ((1 << 33) - 1)
    return (number >> 32).to(torch.int32) | 1


def _mixed(number: int) -> int:
    number = (number + _STEP) & _MASK
    for shift, mixer in zip((30, 27), _MIXERS, strict=True):
        number = ((number ^ (number >> shift)) * mixer) & _MASK
    return number ^ (number >> 31)


def _signed(number: int) -> int:
    """The same 64 bits as int64 has them."""
    return number - (1 << 64) if number >> 63 else number
