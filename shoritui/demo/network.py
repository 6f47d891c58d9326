"""The demo model's network: a plain llama, small, in torch, begun with a circuit that copies.

It knows nothing of text, of training or of files.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a network."""

    vocabulary: int = 4000
    width: int = 256
    layers: int = 5
    heads: int = 4
    hidden: int = 512
    context: int = 2048
    rope_base: float = 100_000.0
    epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        """How wide one head's queries, keys and values are."""
        return self.width // self.heads


class Layer(nn.Module):
    """Attention and a gated feed-forward, each added to the stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width, hidden = shape.width, shape.hidden
        self.attention_norm = nn.Parameter(torch.ones(width))
        self.q = nn.Parameter(torch.empty(width, width))
        self.k = nn.Parameter(torch.empty(width, width))
        self.v = nn.Parameter(torch.empty(width, width))
        self.o = nn.Parameter(torch.empty(width, width))
        self.forward_norm = nn.Parameter(torch.ones(width))
        self.gate = nn.Parameter(torch.empty(hidden, width))
        self.up = nn.Parameter(torch.empty(hidden, width))
        self.down = nn.Parameter(torch.empty(width, hidden))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """The stream after this layer; `cos` and `sin` turn by place."""
        shape = self.shape
        rows, length, _ = x.shape
        y = F.rms_norm(x, (shape.width,), self.attention_norm, shape.epsilon)
        qkv = y @ torch.cat([self.q, self.k, self.v]).T
        heads = qkv.view(rows, length, 3, shape.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = heads.unbind()  # each: rows, heads, length, head_width
        mixed = F.scaled_dot_product_attention(
            turn(q, cos, sin), turn(k, cos, sin), v, is_causal=True
        )
        x = x + mixed.transpose(1, 2).reshape(rows, length, -1) @ self.o.T
        y = F.rms_norm(x, (shape.width,), self.forward_norm, shape.epsilon)
        gate, up = (y @ torch.cat([self.gate, self.up]).T).chunk(2, -1)
        return x + (F.silu(gate) * up) @ self.down.T


class Network(nn.Module):
    """Ids to the stream before the last projection, which is the embedding again."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Parameter(torch.empty(shape.vocabulary, shape.width))
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.Parameter(torch.ones(shape.width))
        cos, sin = angles(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """The stream of (rows, length, width) for ids of (rows, length)."""
        length = ids.shape[1]
        cos, sin = self.cos[:length], self.sin[:length]  # type: ignore[index]
        x = F.embedding(ids, self.embedding)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return F.rms_norm(x, (self.shape.width,), self.norm, self.shape.epsilon)

    def logits(self, ids: Tensor) -> Tensor:
        """The score of every next token at every place."""
        stream: Tensor = self(ids)
        return stream @ self.embedding.T


def angles(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every place's rotation, each of (context, head_width / 2)."""
    turns = torch.outer(torch.arange(shape.context).float(), frequencies(shape))
    return turns.cos(), turns.sin()


def frequencies(shape: Shape) -> Tensor:
    """The rotation of each pair of a head, in radians per token."""
    pairs = torch.arange(0, shape.head_width, 2).float()
    return torch.tensor(shape.rope_base) ** (-pairs / shape.head_width)


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position: pair i of a head is (i, i + head_width / 2)."""
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
