"""The same maths as the fast network's, as plainly as torch allows; and packs to try it on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from shoritui.finetune.data.packs import Pack, Sample, pack_of
from shoritui.finetune.model.adapter import names_of
from shoritui.finetune.model.dropout import key_of, mask_of
from shoritui.finetune.model.interface import Draw, Trainable
from shoritui.finetune.model.network import Network

SITES = {"q_proj": 0, "k_proj": 0, "v_proj": 0, "o_proj": 1, "gate_proj": 2, "up_proj": 2}


def samples(*lengths: int, vocabulary: int = 320, seed: int = 0) -> list[Sample]:
    """Documents of noise, four tokens of five learnt."""
    random = np.random.default_rng(seed)
    made = []
    for length in lengths:
        learn = random.random(length) < 0.8
        learn[0] = False
        ids = random.integers(0, vocabulary, length).astype(np.int32)
        made.append(Sample(ids, learn, "noise"))
    return made


def pack(*lengths: int, vocabulary: int = 320, seed: int = 0) -> Pack:
    return pack_of(tuple(samples(*lengths, vocabulary=vocabulary, seed=seed)))


def bounds(pack: Pack) -> list[tuple[int, int]]:
    """Where documents begin and end."""
    return list(pairwise(pack.starts))


def loss(network: Network, pack: Pack, draw: Draw | None) -> Tensor:
    """The sum over learnt tokens, by autograd, everything at once and in fp64."""
    return losses(network, pack, draw).sum()


def losses(network: Network, pack: Pack, draw: Draw | None) -> Tensor:
    """The same of each document."""
    weights, shape = network.weights, network.shape
    tokens = len(pack.ids)
    ids = torch.from_numpy(pack.ids).long()
    document = torch.zeros(tokens, dtype=torch.long)
    position = torch.zeros(tokens, dtype=torch.long)
    for index, (a, b) in enumerate(bounds(pack)):
        document[a:b] = index
        position[a:b] = torch.arange(b - a)
    sees = (document[:, None] == document) & (torch.arange(tokens)[:, None] >= torch.arange(tokens))
    x = weights.embedding.double()[ids]
    for layer, held in enumerate(weights.layers):

        def linear(name: str, x: Tensor, layer: int = layer) -> Tensor:
            frozen = weights.layers[layer].projections[name].dense(torch.float32).double()
            name_a, name_b = names_of(shape.path(layer, name))
            y = x @ frozen.t()
            if name_a not in network.adapter:
                return y
            rate = network.lora.dropout if draw else 0.0
            if draw and rate:
                key = key_of(draw, layer, SITES.get(name, 3))
                keep = mask_of(key, tokens, x.shape[1], rate, torch.bool, x.device)
                x = keep.kept(slice(None)).of(x) / (1 - rate)
            a, b = network.adapter[name_a].double(), network.adapter[name_b].double()
            return y + network.lora.scale * (x @ a.t() @ b.t())

        def turned(x: Tensor) -> Tensor:
            steps = torch.arange(0, shape.head_size, 2).double() / shape.head_size
            angle = (position[:, None].double() / shape.rope_theta**steps)[:, None]
            left, right = x.chunk(2, -1)
            first = left * angle.cos() - right * angle.sin()
            return torch.cat((first, right * angle.cos() + left * angle.sin()), -1)

        n = _norm(x, held.attention_norm, shape.norm_epsilon)
        q, k, v = (
            linear(name, n).view(tokens, -1, shape.head_size)
            for name in ("q_proj", "k_proj", "v_proj")
        )
        shared = shape.heads // shape.kv_heads
        k, v = turned(k).repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
        scores = torch.einsum("qhd,khd->hqk", turned(q), k) / shape.head_size**0.5
        chances = scores.masked_fill(~sees, -torch.inf).softmax(-1)
        x = x + linear("o_proj", torch.einsum("hqk,khd->qhd", chances, v).flatten(1))
        n = _norm(x, held.mlp_norm, shape.norm_epsilon)
        hidden = functional.silu(linear("gate_proj", n)) * linear("up_proj", n)
        x = x + linear("down_proj", hidden)
    n = _norm(x, weights.norm, shape.norm_epsilon)
    places = torch.from_numpy(np.flatnonzero(pack.learn))
    logits = n[places - 1] @ weights.head.double().t()
    found = functional.cross_entropy(logits, ids[places], reduction="none")
    sums = torch.zeros(pack.documents, dtype=torch.float64)
    return sums.index_add(0, document[places], found)


def _norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * weight.double()


def gradients(network: Trainable) -> dict[str, Tensor]:
    """Those there are, which are taken away."""
    found = {}
    for name, parameter in network.adapter.items():
        assert parameter.grad is not None, name
        found[name], parameter.grad = parameter.grad, None
    return found


def furthest(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The largest relative error of any factor's gradient."""
    assert found.keys() == expected.keys()
    errors = [(found[name] - grad).norm() / grad.norm() for name, grad in expected.items()]
    return torch.stack(errors).max().item()
