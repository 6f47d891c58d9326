"""The first weights of the network: small and random, but for circuits that read the prompt.

Plain training of a model this small does not find copying in the tokens it is given; begun
with it, it keeps and refines it. Of the vocabulary it knows a few landmarks only.

The stream is split: CODE holds a token's own random code, LAST the code of the token before
it, and one coordinate is always on. Layer 0 moves codes into LAST: its first head looks one
place back, whatever the tokens are. In layer 1 two induction heads look for places whose LAST
is the present token's code, and bring forward the code that stands there; two more look for
places after a newline, where names stand: the nearest one, which is the speaker's, and all.
Every later head begins by copying what it looks at, and some of them look behind a newline or
an article from the start: there the people and things of a scene are named.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Generator, Tensor

from shoritui.demo.making.network import Layer, Network, frequencies
from shoritui.gguf.shape import Shape

LAST_WIDTH = 64
FIXED = 7
FINAL_GAIN = 0.08  # codes have size 1, so the last norm makes logits of a sensible size
FIRST_LOW_PAIR = 14  # rotary pairs from here turn too slowly for distance to matter
NEAR_PAIRS = (11, 12, 13)  # these tell near from far over some hundred tokens


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Ids that the first weights know."""

    newline: int
    articles: tuple[int, ...]
    twins: Sequence[tuple[int, int]]
    """Pieces that differ only in a space before them: they get codes much alike, so that a name
    is found whether it begins a line or stands in one."""


def circuit(network: Network) -> list[Tensor]:
    """Return the matrices that hold the circuit: layer 0, and the attention of layer 1.

    The first `FIXED` of them, layer 0, are for ever as they are.
    """
    first, second = (cast(Layer, layer) for layer in network.layers[:2])
    whole = [first.q, first.k, first.v, first.o, first.gate, first.up, first.down]
    return [*whole, second.q, second.k, second.v, second.o]


def start(network: Network, seed: int, landmarks: Landmarks) -> None:
    """Fill every weight."""
    random = Generator().manual_seed(seed)
    shape = network.shape
    code = shape.hidden - LAST_WIDTH - 1
    layers = [cast(Layer, layer) for layer in network.layers]
    with torch.no_grad():
        for layer in layers:
            _fill_small(layer, shape, random)
        codes = torch.randn(shape.vocabulary, code, generator=random)
        for bare, spaced in landmarks.twins:
            codes[spaced] = 0.8 * codes[bare] + 0.6 * codes[spaced]
        network.embedding.zero_()
        network.embedding[:, :code] = codes
        network.embedding[:, -1] = 4
        network.norm.fill_(FINAL_GAIN)
        reader = torch.randn(LAST_WIDTH, code, generator=random) / math.sqrt(code)
        behind_newline = _direction(reader, codes[[landmarks.newline]])
        behind_article = _direction(reader, codes[list(landmarks.articles)])
        _previous_token(layers[0], shape, reader)
        _look_and_copy(layers[1], shape, reader, behind_newline, random)
        for layer in layers[2:]:
            basis = _basis(code, random)
            for head in range(shape.heads):
                _copy(layer, shape, head, basis, 1.5)
        for layer in layers[2:4]:
            _behind(layer, shape, 2, behind_newline, near=0)
            _behind(layer, shape, 3, behind_article, near=0)


def _look_and_copy(
    layer: Layer, shape: Shape, reader: Tensor, behind_newline: Tensor, random: Generator
) -> None:
    basis = _basis(reader.shape[1], random)
    for head in (0, 1):
        _induction(layer, shape, head, reader, random)
        _copy(layer, shape, head, basis, 6.0)
    for head, near in ((2, 1.3), (3, 0.0)):
        _behind(layer, shape, head, behind_newline, near)
        _copy(layer, shape, head, basis[:, -2 * shape.head_size :], 2.0)


def _fill_small(layer: Layer, shape: Shape, random: Generator) -> None:
    for name in ("q", "k", "v", "gate", "up"):
        weight: Tensor = getattr(layer, name)
        scale = 1.0 if name in "qk" else 0.6
        weight.normal_(0, scale / math.sqrt(weight.shape[1]), generator=random)
    for weight in (layer.o, layer.down):
        scale = 0.6 / math.sqrt(2 * shape.layers * weight.shape[1])
        weight.normal_(0, scale, generator=random)


def _previous_token(layer: Layer, shape: Shape, reader: Tensor) -> None:
    """Head 0 looks at the place before: constant query and key, the query turned by one."""
    half = shape.head_size // 2
    turns = frequencies(shape)
    strength = torch.zeros(half)
    strength[:10] = torch.tensor([2.2, 2.2, 1.8, 1.8, 1.4, 1.4, 1.4, 1, 1, 1])
    rows = slice(0, shape.head_size)
    code = reader.shape[1]
    for weight in (layer.q, layer.k, layer.v):
        weight[rows] = 0
    layer.q[:half, -1] = strength * turns.cos()
    layer.q[half : 2 * half, -1] = -strength * turns.sin()
    layer.k[:half, -1] = strength
    layer.v[:LAST_WIDTH, :code] = reader
    layer.o.zero_()
    layer.o[code : code + LAST_WIDTH, :LAST_WIDTH] = torch.eye(LAST_WIDTH) * 1.6
    layer.down.zero_()


def _induction(layer: Layer, shape: Shape, head: int, reader: Tensor, random: Generator) -> None:
    """Make a head that matches the present code with LAST."""
    code, width = reader.shape[1], shape.head_size
    half = width // 2
    low = [*range(FIRST_LOW_PAIR, half), *range(half + FIRST_LOW_PAIR, width)]
    pick = torch.linalg.qr(torch.randn(LAST_WIDTH, len(low), generator=random))[0].T * 2.2
    q, k = torch.zeros(width, shape.hidden), torch.zeros(width, shape.hidden)
    q[low, :code] = pick @ reader
    k[low, code : code + LAST_WIDTH] = pick
    rows = slice(head * width, (head + 1) * width)
    layer.q[rows], layer.k[rows] = q, k


def _behind(layer: Layer, shape: Shape, head: int, last: Tensor, near: float) -> None:
    """Make a head look for places whose LAST is like `last`, the nearer the rather if `near`."""
    width, code = shape.head_size, shape.hidden - LAST_WIDTH - 1
    q, k = torch.zeros(width, shape.hidden), torch.zeros(width, shape.hidden)
    slowest = width // 2 - 1
    q[slowest, -1] = 1.6
    k[slowest, code : code + LAST_WIDTH] = 1.6 * last
    for pair in NEAR_PAIRS:
        q[pair, -1] = k[pair, -1] = near
    rows = slice(head * width, (head + 1) * width)
    layer.q[rows], layer.k[rows] = q, k


def _copy(layer: Layer, shape: Shape, head: int, basis: Tensor, strength: float) -> None:
    """Make a head bring forward a part of the code that stands where it looks."""
    width, code = shape.head_size, basis.shape[0]
    at = (head % 2) * width
    taken = basis[:, at : at + width].T  # (width, code)
    rows = slice(head * width, (head + 1) * width)
    layer.v[rows] = 0
    layer.v[rows, :code] = taken
    layer.o[:, rows] = 0
    layer.o[:code, rows] = taken.T * strength


def _basis(size: int, random: Generator) -> Tensor:
    basis: Tensor = torch.linalg.qr(torch.randn(size, size, generator=random))[0]
    return basis


def _direction(reader: Tensor, codes: Tensor) -> Tensor:
    """Return how LAST looks after any of some tokens, of length 1."""
    after: Tensor = (codes @ reader.T).sum(0)
    return after.div(after.norm())
