"""Frozen weights: as they are, or four bits each, and dense again while they are used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from shoritui.finetune.quiet_libraries import quieten, without_compiling
from shoritui.gguf.shape import PROJECTIONS, Shape

quieten()  # on some processors bitsandbytes complains to stderr, where a screen may be

with without_compiling():
    from bitsandbytes import functional as bnb

_BLOCK = 64
_SECOND_BLOCK = 256


class Frozen(Protocol):
    """A matrix (outputs, inputs) that is never trained."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What it holds, for counting and for moving."""
        ...

    def dense(self, dtype: torch.dtype) -> Tensor:
        """Return the matrix itself; it may be what is held, so it is not written to."""
        ...


@dataclass(frozen=True, slots=True)
class Dense:
    """A matrix held as it is."""

    weight: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The matrix."""
        return (self.weight,)

    def dense(self, dtype: torch.dtype) -> Tensor:
        """Return the matrix, in another type if asked."""
        return self.weight.to(dtype)


@dataclass(frozen=True, slots=True)
class Nf4:
    """A matrix in NormalFloat 4, with a scale for every 64 numbers (arXiv:2305.14314)."""

    size: tuple[int, int]
    packed: Tensor
    scales: Tensor
    """fp32, or uint8 when the scales themselves are quantised."""
    second: tuple[Tensor, Tensor, Tensor] | None = None
    """Of quantised scales: their own scales, their code book, and what is added to them."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that `dense` reads."""
        return (self.packed, self.scales, *(self.second or ()))

    def state(self, dtype: torch.dtype) -> bnb.QuantState:
        """Return what bitsandbytes wants to know of it."""
        nested = None
        if self.second:
            nested = bnb.QuantState(  # type: ignore[no-untyped-call]
                absmax=self.second[0],
                code=self.second[1],
                blocksize=_SECOND_BLOCK,
                dtype=torch.float32,
            )
        return bnb.QuantState(  # type: ignore[no-untyped-call]
            absmax=self.scales,
            shape=torch.Size(self.size),
            blocksize=_BLOCK,
            quant_type="nf4",
            dtype=dtype,
            offset=self.second[2] if self.second else None,
            state2=nested,
        )

    def dense(self, dtype: torch.dtype) -> Tensor:
        """Return the matrix as bitsandbytes decodes it."""
        dense: Tensor = bnb.dequantize_4bit(self.packed, self.state(dtype))
        return dense


def nf4_of(weight: Tensor, is_double: bool = True) -> Nf4:
    """Return a matrix in four bits, quantised on the device it is on."""
    packed, state = bnb.quantize_4bit(
        weight.contiguous(), blocksize=_BLOCK, quant_type="nf4", compress_statistics=is_double
    )
    second = (state.state2.absmax, state.state2.code, state.offset) if is_double else None
    return Nf4((weight.shape[0], weight.shape[1]), packed, state.absmax, second)


def nf4_like(size: tuple[int, int], device: torch.device, is_double: bool = True) -> Nf4:
    """Return a matrix of noise that takes the bytes a real one would take; nothing is quantised."""
    numbers = size[0] * size[1]
    blocks = -(-numbers // _BLOCK)
    packed = torch.randint(0, 256, (-(-numbers // 2), 1), dtype=torch.uint8, device=device)
    spread = 0.5 / size[1] ** 0.5
    if not is_double:
        return Nf4(size, packed, torch.full((blocks,), 2 * spread, device=device))
    scales = torch.full((blocks,), 128, dtype=torch.uint8, device=device)
    second = (
        torch.full((-(-blocks // _SECOND_BLOCK),), spread, device=device),
        torch.linspace(-1, 1, 256, device=device),
        torch.full((), 2 * spread, device=device),
    )
    return Nf4(size, packed, scales, second)


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """The frozen weights of one decoder layer."""

    attention_norm: Tensor
    mlp_norm: Tensor
    projections: dict[str, Frozen]
    """By the names in `shape.PROJECTIONS`."""
    biases: dict[str, Tensor] = field(default_factory=dict)
    """Of the projections that have one, (outputs,)."""
    head_norms: tuple[Tensor, Tensor] | None = None
    """Of each head of queries and keys, (head_size,); None where they are not normalised."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The frozen weights of a network."""

    embedding: Tensor
    """(vocabulary, hidden)."""
    layers: tuple[LayerWeights, ...]
    norm: Tensor
    head: Tensor
    """(vocabulary, hidden); the embedding itself where they are tied."""


def random_weights(
    shape: Shape,
    device: torch.device,
    dtype: torch.dtype,
    is_nf4: bool = True,
    is_double: bool = True,
) -> Weights:
    """Return weights of noise, in the bytes that real ones take; no two runs give the same."""

    def dense(rows: int, columns: int) -> Tensor:
        noise = torch.randn(rows, columns, device=device, dtype=dtype)
        return noise.mul_(columns**-0.5)

    def frozen(projection: str) -> Frozen:
        size = shape.sizes(projection)
        return nf4_like(size, device, is_double) if is_nf4 else Dense(dense(*size))

    def norm(width: int = shape.hidden) -> Tensor:
        return torch.ones(width, device=device, dtype=dtype)

    def layer() -> LayerWeights:
        return LayerWeights(
            *(norm(), norm(), {name: frozen(name) for name in PROJECTIONS}),
            biases={name: dense(1, shape.sizes(name)[0])[0] for name in shape.biased},
            head_norms=(norm(shape.head_size), norm(shape.head_size))
            if shape.has_head_norms
            else None,
        )

    embedding = dense(shape.vocabulary, shape.hidden)
    layers = tuple(layer() for _ in range(shape.layers))
    head = embedding if shape.is_tied else dense(shape.vocabulary, shape.hidden)
    return Weights(embedding, layers, norm(), head)
