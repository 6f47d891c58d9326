"""Four bits are bitsandbytes' own, in as many bytes whether real, random or fake."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
import torch
from bitsandbytes import functional as bnb
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from shoritui.finetune.model.shape import shape_named
from shoritui.finetune.model.weights import Dense, nf4_like, nf4_of, random_weights

CPU = torch.device("cpu")
SIZES = [(96, 64), (50, 70), (8, 128)]


def bytes_of(tensors: Iterable[Tensor]) -> list[int]:
    return [tensor.untyped_storage().nbytes() for tensor in tensors]


@pytest.mark.parametrize("is_double", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_nf4_decodes_as_bitsandbytes_does(size: tuple[int, int], is_double: bool) -> None:
    weight = torch.randn(size)
    packed, state = bnb.quantize_4bit(
        weight, blocksize=64, quant_type="nf4", compress_statistics=is_double
    )
    nf4 = nf4_of(weight, is_double)
    assert torch.equal(nf4.dense(torch.float32), bnb.dequantize_4bit(packed, state))
    assert nf4.dense(torch.bfloat16).dtype == torch.bfloat16
    error = (nf4.dense(torch.float32) - weight).norm() / weight.norm()
    assert 0.02 < error.item() < 0.15


@pytest.mark.parametrize("is_double", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_noise_takes_the_bytes_of_the_real_thing(size: tuple[int, int], is_double: bool) -> None:
    real, noise = nf4_of(torch.randn(size), is_double), nf4_like(size, CPU, is_double)
    assert bytes_of(noise.tensors) == bytes_of(real.tensors)
    assert [tensor.dtype for tensor in noise.tensors] == [tensor.dtype for tensor in real.tensors]
    dense = noise.dense(torch.float32)
    assert tuple(dense.shape) == size
    assert 0.2 < dense.std().item() * size[1] ** 0.5 < 2
    with FakeTensorMode():
        fake = nf4_like(size, CPU, is_double).dense(torch.bfloat16)
    assert tuple(fake.shape) == size


def test_a_dense_matrix_is_not_copied() -> None:
    weight = torch.randn(4, 6)
    assert Dense(weight).dense(torch.float32) is weight
    assert Dense(weight).dense(torch.bfloat16).dtype == torch.bfloat16


def test_random_weights_have_the_shape_that_was_asked_for() -> None:
    shape = replace(shape_named("tiny"), biased=("q_proj", "up_proj"), has_head_norms=True)
    weights = random_weights(shape, CPU, torch.bfloat16)
    assert len(weights.layers) == shape.layers
    for name, frozen in weights.layers[0].projections.items():
        assert frozen.dense(torch.bfloat16).shape == shape.sizes(name)
    biases = weights.layers[1].biases
    assert {name: tuple(bias.shape) for name, bias in biases.items()} == {
        "q_proj": (64,),
        "up_proj": (160,),
    }
    assert [tuple(norm.shape) for norm in weights.layers[1].head_norms or ()] == [(16,), (16,)]
    assert weights.embedding.shape == weights.head.shape == (shape.vocabulary, shape.hidden)
