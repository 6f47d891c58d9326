"""Causal attention document by document, forward and backward: no mask exists, so nothing leaks.

pack    |AAAAA|BBB|CCCCCCC|
attends A to A, B to B, C to C, each token up to itself
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

_FLASH_TYPES = (torch.bfloat16, torch.float16)


@dataclass(frozen=True, slots=True)
class Attended:
    """What attention gave, and what its way back needs."""

    output: Tensor
    """(tokens, heads, head_size)."""
    sums: tuple[Tensor, ...]
    """The logarithm of each softmax's sum, one tensor a document: small."""


def attend(q: Tensor, k: Tensor, v: Tensor, starts: Sequence[int]) -> Attended:
    """Let every token look at its own document up to itself; (tokens, heads, head_size) each.

    k and v may have fewer heads, each of which several heads of q share.
    """
    if len(starts) == 2:
        output, total = _forward(q, k, v)
        return Attended(output, (total,))
    output, sums = torch.empty_like(q), []
    for a, b in pairwise(starts):
        output[a:b], total = _forward(q[a:b], k[a:b], v[a:b])
        sums.append(total)
    return Attended(output, tuple(sums))


def attend_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, kept: Attended, starts: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v."""
    if len(starts) == 2:
        return _backward(grad, q, k, v, kept.output, kept.sums[0])
    grads = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
    for (a, b), total in zip(pairwise(starts), kept.sums, strict=True):
        parts = _backward(grad[a:b], q[a:b], k[a:b], v[a:b], kept.output[a:b], total)
        for whole, part in zip(grads, parts, strict=True):
            whole[a:b] = part
    return grads


def _forward(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    ops = torch.ops.aten
    queries, keys, values = _batched(q), _batched(k), _batched(v)
    if q.device.type == "cpu":
        output, total = ops._scaled_dot_product_flash_attention_for_cpu(
            queries, keys, values, 0.0, True
        )
    elif _can_flash(q):
        output, total = ops._scaled_dot_product_flash_attention(
            queries, keys, values, 0.0, True, False
        )[:2]
    else:
        output, total = ops._scaled_dot_product_efficient_attention(
            queries, _spread(keys, q), _spread(values, q), None, True, 0.0, True
        )[:2]
    return output[0].transpose(0, 1), total


def _backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, output: Tensor, total: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    ops = torch.ops.aten
    above, queries, keys, values, result = map(_batched, (grad, q, k, v, output))
    unused = torch.empty((), dtype=torch.uint64, device=q.device)
    if q.device.type == "cpu":
        grads = ops._scaled_dot_product_flash_attention_for_cpu_backward(
            above, queries, keys, values, result, total, 0.0, True
        )
    elif _can_flash(q):
        length = len(q)
        grads = ops._scaled_dot_product_flash_attention_backward(
            *(above, queries, keys, values, result, total, None, None, length, length),
            *(0.0, True, unused, unused),
        )
    else:
        keys, values = _spread(keys, q), _spread(values, q)
        grads = ops._scaled_dot_product_efficient_attention_backward(
            *(above, queries, keys, values, None, result, total, unused, unused),
            *(0.0, [True, True, True, False], True),
        )
    first, second, third = (each[0].transpose(0, 1) for each in grads[:3])
    return first, _gathered(second, k), _gathered(third, v)


def _can_flash(q: Tensor) -> bool:
    """Whether CUDA's flash kernels take it; the memory-efficient ones take anything."""
    head_size = q.shape[-1]
    if q.dtype not in _FLASH_TYPES or head_size % 8 or head_size > 256:
        return False
    return not q.is_cuda or torch.cuda.get_device_capability(q.device) >= (8, 0)


def _batched(heads: Tensor) -> Tensor:
    """(1, heads, tokens, head_size)."""
    return heads.transpose(0, 1)[None]


def _spread(heads: Tensor, q: Tensor) -> Tensor:
    """As many heads as q has."""
    return heads.repeat_interleave(q.shape[1] // heads.shape[1], 1)


def _gathered(grad: Tensor, heads: Tensor) -> Tensor:
    """The gradients of heads that were spread, summed."""
    if grad.shape == heads.shape:
        return grad
    return grad.reshape(len(grad), heads.shape[1], -1, heads.shape[2]).sum(2)
