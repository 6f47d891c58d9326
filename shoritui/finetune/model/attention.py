"""Causal attention document by document, forward and backward: no mask exists, so nothing leaks.

pack    |AAAAA|BBB|CCCCCCC|
attends A to A, B to B, C to C, each token up to itself

Where a base looks back through a window, a longer document is attended to a band at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

_BAND = 1024
"""Tokens of a band: those that look back at a time."""
_FLASH_TYPES = (torch.bfloat16, torch.float16)


@dataclass(frozen=True, slots=True)
class Attended:
    """What attention gave, and what its way back needs."""

    output: Tensor
    """(tokens, heads, head_size)."""
    sums: tuple[Tensor, ...]
    """The logarithm of each softmax's sum, one tensor a document: small; empty where in bands."""


def attend(q: Tensor, k: Tensor, v: Tensor, starts: Sequence[int], window: int = 0) -> Attended:
    """Let every token look at its own document up to itself; (tokens, heads, head_size) each.

    k and v may have fewer heads, each of which several heads of q share. `window` is the most
    tokens that are looked at, the token itself included; 0 for all.
    """
    if len(starts) == 2:
        output, total = _forward(q, k, v, window)
        return Attended(output, (total,))
    output, sums = torch.empty_like(q), []
    for a, b in pairwise(starts):
        output[a:b], total = _forward(q[a:b], k[a:b], v[a:b], window)
        sums.append(total)
    return Attended(output, tuple(sums))


def attend_backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    kept: Attended,
    starts: Sequence[int],
    window: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v."""
    if len(starts) == 2:
        return _backward(grad, q, k, v, kept.output, kept.sums[0], window)
    grads = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
    for (a, b), total in zip(pairwise(starts), kept.sums, strict=True):
        parts = _backward(grad[a:b], q[a:b], k[a:b], v[a:b], kept.output[a:b], total, window)
        for whole, part in zip(grads, parts, strict=True):
            whole[a:b] = part
    return grads


def sight(before: int, now: int, window: int, device: torch.device) -> Tensor:
    """(now - before, now): whether a token, of those from `before` on, looks at another."""
    rows = torch.arange(before, now, device=device)[:, None]
    columns = torch.arange(now, device=device)
    seen = columns <= rows
    return seen & (columns > rows - window) if window else seen


def _forward(q: Tensor, k: Tensor, v: Tensor, window: int) -> tuple[Tensor, Tensor]:
    if 0 < window < len(q):
        parts = [_band(q[rows], k[keys], v[keys], window) for rows, keys in _bands(len(q), window)]
        return torch.cat(parts), q.new_empty(0)
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


def _bands(length: int, window: int) -> Iterator[tuple[slice, slice]]:
    """A document's tokens, some at a time, and those at which they look."""
    for start in range(0, length, _BAND):
        end = min(start + _BAND, length)
        yield slice(start, end), slice(max(0, start - window + 1), end)


def _band(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """What the last tokens find in these keys and values."""
    queries, keys, values = _batched(q), _spread(_batched(k), q), _spread(_batched(v), q)
    seen = sight(len(k) - len(q), len(k), window, q.device)
    output = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=seen)
    return output[0].transpose(0, 1)


def _bands_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, window: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v, for which each band is computed again."""
    grads = [torch.zeros_like(each, dtype=torch.float32) for each in (q, k, v)]
    for rows, keys in _bands(len(q), window):
        parts = [each.detach().requires_grad_() for each in (q[rows], k[keys], v[keys])]
        with torch.enable_grad():
            output = _band(parts[0], parts[1], parts[2], window)
        found = torch.autograd.grad(output, parts, grad[rows])
        for whole, span, part in zip(grads, (rows, keys, keys), found, strict=True):
            whole[span] += part
    return grads[0].to(q.dtype), grads[1].to(k.dtype), grads[2].to(v.dtype)


def _backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, output: Tensor, total: Tensor, window: int
) -> tuple[Tensor, Tensor, Tensor]:
    if 0 < window < len(q):
        return _bands_backward(grad, q, k, v, window)
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
