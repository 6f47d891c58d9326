"""The first weights of the network: small and random, but for circuits that read the prompt.

Plain training of a model this small does not find copying in the tokens it is given; begun
with it, it keeps and refines it. It knows nothing of text but the id of the newline.

The stream is split: CODE holds a token's own random code, LAST the code of the token before
it, and one coordinate is always on. Layer 0 moves codes into LAST: its first head looks one
place back, whatever the tokens are. In layer 1 two induction heads look for places whose LAST
is the present token's code, and bring forward the code that stands there; two more look for
places after a newline, where names stand: the nearest one, which is the speaker's, and all.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Generator, Tensor

from shoritui.demo.network import Layer, Network, Shape, frequencies

LAST_WIDTH = 64
CODE_SCALE = 0.08
FIRST_LOW_PAIR = 14  # rotary pairs from here turn too slowly for distance to matter
NEAR_PAIRS = (11, 12, 13)  # these tell near from far over some hundred tokens


def start(network: Network, seed: int, newline: int) -> None:
    """Fill every weight."""
    random = Generator().manual_seed(seed)
    shape = network.shape
    code = shape.width - LAST_WIDTH - 1
    layers = [cast(Layer, layer) for layer in network.layers]
    with torch.no_grad():
        for layer in layers:
            _fill_small(layer, shape, random)
        codes = torch.randn(shape.vocabulary, code, generator=random) * CODE_SCALE
        network.embedding.zero_()
        network.embedding[:, :code] = codes
        network.embedding[:, -1] = 4 * CODE_SCALE
        reader = torch.randn(LAST_WIDTH, code, generator=random) / math.sqrt(code)
        _previous_token(layers[0], shape, reader)
        basis = torch.linalg.qr(torch.randn(code, code, generator=random))[0]
        for head in (0, 1):
            _induction(layers[1], shape, head, reader, random)
            _copy(layers[1], shape, head, basis, 0.48)
        after = reader @ codes[newline]
        for head, near in ((2, 1.3), (3, 0.0)):
            _after(layers[1], shape, head, after / after.norm(), near)
            _copy(layers[1], shape, head, basis[:, code - 2 * shape.head_width :], 0.1)


def circuit(network: Network) -> list[Tensor]:
    """The matrices that hold the circuit: layer 0, and the attention of layer 1."""
    first, second = (cast(Layer, layer) for layer in network.layers[:2])
    whole = [first.q, first.k, first.v, first.o, first.gate, first.up, first.down]
    return [*whole, second.q, second.k, second.v, second.o]


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
    half = shape.head_width // 2
    turns = frequencies(shape)
    strength = torch.zeros(half)
    strength[:10] = torch.tensor([2.2, 2.2, 1.8, 1.8, 1.4, 1.4, 1.4, 1, 1, 1])
    rows = slice(0, shape.head_width)
    code = reader.shape[1]
    last = slice(code, code + LAST_WIDTH)
    for weight in (layer.q, layer.k, layer.v):
        weight[rows] = 0
    layer.q[:half, -1] = strength * turns.cos()
    layer.q[half : 2 * half, -1] = -strength * turns.sin()
    layer.k[:half, -1] = strength
    layer.v[:LAST_WIDTH, :code] = reader
    layer.o.zero_()
    layer.o[last, :LAST_WIDTH] = torch.eye(LAST_WIDTH) * 1.6 * CODE_SCALE
    layer.down.zero_()


def _induction(layer: Layer, shape: Shape, head: int, reader: Tensor, random: Generator) -> None:
    """The head matches the present code with LAST."""
    code, width = reader.shape[1], shape.head_width
    half = width // 2
    low = [*range(FIRST_LOW_PAIR, half), *range(half + FIRST_LOW_PAIR, width)]
    pick = torch.linalg.qr(torch.randn(LAST_WIDTH, len(low), generator=random))[0].T * 2.2
    q, k = torch.zeros(width, shape.width), torch.zeros(width, shape.width)
    q[low, :code] = pick @ reader
    k[low, code : code + LAST_WIDTH] = pick
    rows = slice(head * width, (head + 1) * width)
    layer.q[rows], layer.k[rows] = q, k


def _after(layer: Layer, shape: Shape, head: int, last: Tensor, near: float) -> None:
    """The head looks for places whose LAST is `last`, the nearer the rather if `near`."""
    width, code = shape.head_width, shape.width - LAST_WIDTH - 1
    q, k = torch.zeros(width, shape.width), torch.zeros(width, shape.width)
    slowest = width // 2 - 1
    q[slowest, -1] = 1.6
    k[slowest, code : code + LAST_WIDTH] = 1.6 * last
    for pair in NEAR_PAIRS:
        q[pair, -1] = k[pair, -1] = near
    rows = slice(head * width, (head + 1) * width)
    layer.q[rows], layer.k[rows] = q, k


def _copy(layer: Layer, shape: Shape, head: int, basis: Tensor, strength: float) -> None:
    """The head brings forward a part of the code that stands where it looks."""
    width, code = shape.head_width, basis.shape[0]
    at = (head % 2) * width
    taken = basis[:, at : at + width].T  # (width, code)
    rows = slice(head * width, (head + 1) * width)
    layer.v[rows] = 0
    layer.v[rows, :code] = taken
    layer.o[:, rows] = 0
    layer.o[:code, rows] = taken.T * strength
