"""The demo model's network: a plain llama, small, in torch, begun with a circuit that copies."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shoritui.gguf.shape import Shape


def demo_shape(vocabulary: int = 4000) -> Shape:
    """Return the shape of the model that ships, or of one with another vocabulary."""
    return Shape(
        hidden=256,
        intermediate=512,
        layers=5,
        heads=4,
        kv_heads=4,
        head_size=64,
        vocabulary=vocabulary,
        rope_theta=100_000.0,
        is_tied=True,
        context=2048,
    )


class Layer(nn.Module):
    """Attention and a gated feed-forward, each added to the stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width, hidden = shape.hidden, shape.intermediate
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
        """Return the stream after this layer; `cos` and `sin` turn by place."""
        shape = self.shape
        rows, length, _ = x.shape
        y = F.rms_norm(x, (shape.hidden,), self.attention_norm, shape.norm_epsilon)
        qkv = y @ torch.cat([self.q, self.k, self.v]).T
        heads = qkv.view(rows, length, 3, shape.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = heads.unbind()  # each: rows, heads, length, head_size
        mixed = F.scaled_dot_product_attention(
            turn(q, cos, sin), turn(k, cos, sin), v, is_causal=True
        )
        x = x + mixed.transpose(1, 2).reshape(rows, length, -1) @ self.o.T
        y = F.rms_norm(x, (shape.hidden,), self.forward_norm, shape.norm_epsilon)
        gate, up = (y @ torch.cat([self.gate, self.up]).T).chunk(2, -1)
        return x + (F.silu(gate) * up) @ self.down.T


class Network(nn.Module):
    """Ids to the stream before the last projection, which is the embedding again."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Parameter(torch.empty(shape.vocabulary, shape.hidden))
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.Parameter(torch.ones(shape.hidden))
        cos, sin = angles(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the stream of (rows, length, width) for ids of (rows, length)."""
        length = ids.shape[1]
        cos, sin = self.cos[:length], self.sin[:length]  # type: ignore[index]
        x = F.embedding(ids, self.embedding)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return F.rms_norm(x, (self.shape.hidden,), self.norm, self.shape.norm_epsilon)

    def logits(self, ids: Tensor) -> Tensor:
        """Return the score of every next token at every place."""
        stream: Tensor = self(ids)
        return stream @ self.embedding.T


def angles(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every place's rotation, each of (context, head_size / 2)."""
    turns = torch.outer(torch.arange(shape.context).float(), frequencies(shape))
    return turns.cos(), turns.sin()


def frequencies(shape: Shape) -> Tensor:
    """Return the rotation of each pair of a head, in radians per token."""
    pairs = torch.arange(0, shape.head_size, 2).float()
    return torch.tensor(shape.rope_theta) ** (-pairs / shape.head_size)


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position: pair i of a head is (i, i + head_size / 2)."""
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
