"""The loss in chunks is cross-entropy, and so is its gradient."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn import functional

from shoritui.finetune.model.network import Head, LossSums, targets_of
from shoritui.finetune.model.precision import Precision
from tests.finetune.model import plain

CPU = torch.device("cpu")
FP32 = Precision(torch.float32, torch.float32)


def head(chunk: int) -> Head:
    torch.manual_seed(2)
    return Head(torch.rand(48) + 0.5, 1e-5, torch.randn(320, 48), chunk, rows=9)


@pytest.mark.parametrize("chunk", [7, 64, 1000])
@pytest.mark.parametrize("lengths", [(90,), (40, 1, 60)])
def test_each_documents_sum_and_its_gradient_are_those_of_cross_entropy(
    chunk: int, lengths: tuple[int, ...]
) -> None:
    end, pack = head(chunk), plain.pack(*lengths)
    x = torch.randn(len(pack.ids), 48, requires_grad=True)
    normal = functional.rms_norm(x, (48,), end.norm, 1e-5)
    logits = normal @ end.weight.t()
    ids, learn = torch.from_numpy(pack.ids).long(), torch.from_numpy(pack.learn)
    losses = functional.cross_entropy(logits[:-1], ids[1:], reduction="none") * learn[1:]
    expected = torch.stack(
        [losses[max(a - 1, 0) : b - 1].sum(dtype=torch.float64) for a, b in plain.bounds(pack)]
    )
    scales = torch.linspace(0.25, -0.5, len(lengths), dtype=torch.float64)
    (grad,) = torch.autograd.grad((expected * scales).sum(), x)
    sums = LossSums.apply(x, end, targets_of(pack, CPU), FP32)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(sums, expected, rtol=1e-6, atol=1e-6)
    (found,) = torch.autograd.grad((sums * scales).sum(), x)
    torch.testing.assert_close(found, grad, rtol=1e-5, atol=1e-5)


def test_a_loss_that_bf16_would_round_is_summed_in_fp32() -> None:
    end, pack = head(64), plain.pack(900)
    x = torch.randn(900, 48)
    targets = targets_of(pack, CPU)
    half = Precision(torch.bfloat16, torch.bfloat16)
    narrow = end.losses(x.bfloat16(), targets, half, None)
    wide = end.losses(x, targets, FP32, None)
    assert narrow.dtype == torch.float32
    assert narrow.sum().item() == pytest.approx(wide.sum().item(), rel=1e-3)
    assert len(set(narrow.tolist())) > 600


def test_logits_far_from_zero_overflow_nothing() -> None:
    end = dataclasses.replace(head(64), weight=head(64).weight * 1e4)
    x = torch.randn(50, 48)
    grad = torch.zeros_like(x)
    losses = end.losses(x, targets_of(plain.pack(50), CPU), FP32, grad)
    assert losses.isfinite().all()
    assert grad.isfinite().all()
