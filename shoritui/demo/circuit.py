"""The first weights of the network: small and random, but for a circuit that can copy.

Plain training of a model this small does not find copying in the tokens it is given; begun
with it, it keeps it. It knows nothing of text.

The stream is split: CODE holds a token's own random code, LAST the code of the token before
it, and one coordinate is always on. Layer 0 moves codes into LAST: its first head looks one
place back, whatever the tokens are. In layers 1 and 2 induction heads then look for places
whose LAST is the present token's code, and bring forward the code that stands there.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from shoritui.demo.network import Layer, Network, Shape, frequencies

LAST_WIDTH = 64
CIRCUIT_LAYERS = 3
FIRST_LOW_PAIR = 14  # rotary pairs from here turn too slowly for distance to matter


def start(network: Network, seed: int) -> None:
    """Fill every weight."""
    random = Generator().manual_seed(seed)
    shape = network.shape
    for layer in network.layers:
        assert isinstance(layer, Layer)
        _fill_small(layer, shape, random)
    code = shape.width - LAST_WIDTH - 1
    with torch.no_grad():
        network.embedding.zero_()
        network.embedding[:, :code] = torch.randn(shape.vocabulary, code, generator=random) * 0.08
        network.embedding[:, -1] = 0.32
        reader = torch.randn(LAST_WIDTH, code, generator=random) / math.sqrt(code)
        _previous_token(network.layers[0], shape, reader)  # type: ignore[arg-type]
        for layer in (network.layers[1], network.layers[2]):
            assert isinstance(layer, Layer)
            _induction(layer, shape, reader, random)


def _fill_small(layer: Layer, shape: Shape, random: Generator) -> None:
    with torch.no_grad():
        for name in ("q", "k", "v", "gate", "up"):
            weight: Tensor = getattr(layer, name)
            weight.normal_(0, 0.6 / math.sqrt(weight.shape[1]), generator=random)
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
    layer.q[rows] = 0
    layer.k[rows] = 0
    layer.q[:half, -1] = strength * turns.cos()
    layer.q[half : 2 * half, -1] = -strength * turns.sin()
    layer.k[:half, -1] = strength
    layer.v[rows] = 0
    layer.v[:LAST_WIDTH, : reader.shape[1]] = reader
    layer.o[:, rows] = 0
    code = reader.shape[1]
    layer.o[code : code + LAST_WIDTH] = 0
    layer.o[code : code + LAST_WIDTH, :LAST_WIDTH] = torch.eye(LAST_WIDTH) * 0.128
    layer.down[code : code + LAST_WIDTH] = 0


def _induction(layer: Layer, shape: Shape, reader: Tensor, random: Generator) -> None:
    """Heads 0 and 1 match the present code with LAST, and copy the code that is found."""
    code = reader.shape[1]
    width, half = shape.head_width, shape.head_width // 2
    low = [*range(FIRST_LOW_PAIR, half), *range(half + FIRST_LOW_PAIR, width)]
    basis = torch.linalg.qr(torch.randn(code, code, generator=random))[0]
    for head in (0, 1):
        rows = slice(head * width, (head + 1) * width)
        q, k = torch.zeros(width, shape.width), torch.zeros(width, shape.width)
        pick = torch.linalg.qr(torch.randn(LAST_WIDTH, len(low), generator=random))[0].T
        q[low, :code] = pick @ reader * 2.2
        k[low, code : code + LAST_WIDTH] = pick * 2.2
        layer.q[rows], layer.k[rows] = q, k
        taken = basis[:, head * width : (head + 1) * width].T  # (width, code)
        layer.v[rows] = 0
        layer.v[rows, :code] = taken
        layer.o[:, rows] = 0
        layer.o[:code, rows] = taken.T * 0.48
