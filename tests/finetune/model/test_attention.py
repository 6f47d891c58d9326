"""Attention over documents is softmax over each, there and back."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from shoritui.finetune.model import attention
from shoritui.finetune.model.attention import attend, attend_backward

STARTS = [(0, 50), (0, 1, 33, 50)]


def plainly(q: Tensor, k: Tensor, v: Tensor, starts: tuple[int, ...], window: int = 50) -> Tensor:
    shared = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
    scores = torch.einsum("qhd,khd->hqk", q, k) / q.shape[2] ** 0.5
    sees = torch.zeros(len(q), len(q), dtype=torch.bool)
    for a, b in pairwise(starts):
        sees[a:b, a:b] = torch.ones(b - a, b - a, dtype=torch.bool).tril().triu(1 - window)
    return torch.einsum("hqk,khd->qhd", scores.masked_fill(~sees, -torch.inf).softmax(-1), v)


@pytest.mark.parametrize("starts", STARTS)
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("window", [0, 1, 7, 17, 49, 50])
def test_documents_attend_to_themselves(
    starts: tuple[int, ...], kv_heads: int, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "_BAND", 12)
    torch.manual_seed(0)
    q = torch.randn(50, 4, 24, requires_grad=True)
    k = torch.randn(50, kv_heads, 24, requires_grad=True)
    v = torch.randn(50, kv_heads, 24, requires_grad=True)
    above = torch.randn(50, 4, 24)
    expected = plainly(q, k, v, starts, window or 50)
    grads = torch.autograd.grad(expected, (q, k, v), above)
    with torch.no_grad():
        kept = attend(q, k, v, starts, window)
        torch.testing.assert_close(kept.output, expected)
        found = attend_backward(above, q, k, v, kept, starts, window)
    for each, grad in zip(found, grads, strict=True):
        torch.testing.assert_close(each, grad, rtol=1e-5, atol=1e-5)
