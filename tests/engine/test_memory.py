"""The estimate of memory, and the sentence where it cannot suffice."""

from __future__ import annotations

import pytest

from shoritui.engine.memory import GIB, Estimate, Shape, estimate, gpu_shortage, shortage

MISTRAL_7B = Shape(
    size_bytes=4_370_000_000,
    n_layer=32,
    n_embd=4096,
    n_head=32,
    n_head_kv=8,
    n_ff=14336,
    n_vocab=32000,
    key_length=128,
    value_length=128,
)


def test_mistral_7b_at_16k_takes_two_gib_of_cache() -> None:
    need = estimate(MISTRAL_7B, n_ctx=16384, n_batch=512)
    assert need.kv_cache == 2 * GIB
    assert 0.05 * GIB < need.compute < 0.3 * GIB
    assert need.total == pytest.approx(6.2 * GIB, rel=0.05)


def test_what_fits_is_not_refused() -> None:
    need = Estimate(weights=4 * GIB, kv_cache=GIB, compute=GIB)
    assert shortage(need, total=8 * GIB, available=3 * GIB) == ""
    assert shortage(need, total=None, available=None) == ""
    assert gpu_shortage(need, free=6 * GIB) == ""


def test_what_cannot_fit_is_told_with_its_numbers() -> None:
    need = Estimate(weights=4 * GIB, kv_cache=GIB, compute=GIB)
    whole = "The model needs about 6.0 GiB of memory (weights 4.0 GiB, context 1.0 GiB, "
    assert shortage(need, total=5 * GIB, available=5 * GIB).startswith(whole)
    assert "this machine has 5.0 GiB" in shortage(need, total=5 * GIB, available=5 * GIB)
    assert "only 1.0 GiB are free" in shortage(need, total=64 * GIB, available=GIB)
    assert "the GPU has 5.0 GiB free" in gpu_shortage(need, free=5 * GIB)


def test_a_part_of_the_layers_takes_a_part_of_the_memory() -> None:
    half = Estimate(weights=4 * GIB, kv_cache=2 * GIB, compute=GIB).share(0.5)
    assert half == Estimate(weights=2 * GIB, kv_cache=GIB, compute=GIB)
