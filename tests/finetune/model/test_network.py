"""The fast network computes what PEFT computes, at every level, in any chunks, in any company."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from shoritui.finetune.config.model import Lora
from shoritui.finetune.data.packs import Pack, pack_of
from shoritui.finetune.model.interface import Draw, Level
from shoritui.finetune.model.network import Network
from shoritui.finetune.model.precision import Precision, Tuning, tuning_for
from shoritui.finetune.model.shape import shape_named
from shoritui.finetune.model.weights import Dense, LayerWeights, Weights
from shoritui.gguf.shape import PROJECTIONS, shape_of_config
from tests.finetune.model import plain

CPU = torch.device("cpu")
DRAW = Draw(seed=1, step=2, pack=3)
FP32 = Precision(torch.float32, torch.float32)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(dtype: torch.dtype = torch.float32, **lora: Any) -> Network:
    torch.manual_seed(5)
    made = Network.random(shape_named("tiny"), Lora(r=4, alpha=4, **lora), CPU, dtype)
    for parameter in made.adapter.values():
        parameter.data.mul_(5)
    return made


@pytest.fixture(scope="module")
def peft() -> Any:
    return adapted_mistral()


def adapted_mistral() -> Any:
    """A small Mistral with an adapter that does something, in fp32, without dropout."""
    from peft import LoraConfig, get_peft_model
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(3)
    config = MistralConfig(
        vocab_size=320,
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=24,
        initializer_range=0.1,
        sliding_window=None,
        use_cache=False,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
    )
    model = MistralForCausalLM(config)
    lora = LoraConfig(
        r=20, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    adapted = get_peft_model(model, lora)
    for name, parameter in adapted.named_parameters():
        if "norm" in name:
            parameter.data.uniform_(0.5, 1.5)
        if "lora_B" in name:
            parameter.data.normal_(0, 0.05)
    return adapted


def like(peft: Any) -> Network:
    """The fast network with the same weights and the same factors."""
    held = {
        name.removeprefix("base_model.model.").replace(".base_layer", ""): parameter.detach()
        for name, parameter in peft.named_parameters()
    }
    shape = shape_of_config(peft.config.to_dict(), "")
    layers = tuple(
        LayerWeights(
            held[f"model.layers.{layer}.input_layernorm.weight"],
            held[f"model.layers.{layer}.post_attention_layernorm.weight"],
            {name: Dense(held[f"{shape.path(layer, name)}.weight"]) for name in PROJECTIONS},
        )
        for layer in range(shape.layers)
    )
    ends = (held["model.norm.weight"], held["lm_head.weight"])
    adapter = {
        name.replace(".default", ""): nn.Parameter(parameter.detach().clone())
        for name, parameter in peft.named_parameters()
        if "lora_" in name
    }
    weights = Weights(held["model.embed_tokens.weight"], layers, *ends)
    return Network(shape, weights, adapter, Lora(dropout=0.0), torch.float32)


def taught(network: Network, pack: Pack, level: Level = Level.ATTENTION) -> tuple[Any, Any]:
    loss = network.loss(pack, DRAW, level)
    loss.total.backward()  # type: ignore[no-untyped-call]
    return loss, plain.gradients(network)


def test_losses_and_gradients_are_those_of_peft_document_by_document(peft: Any) -> None:
    fast = like(peft)
    fast.tuned = Tuning(FP32, chunk=64, loss_chunk=50)
    documents = plain.samples(100, 37, 200, 55)
    losses = []
    peft.zero_grad()
    for sample in documents:
        ids = torch.from_numpy(sample.ids).long()[None]
        labels = torch.where(torch.from_numpy(sample.learn), ids, -100)
        loss = peft(input_ids=ids, labels=labels).loss * int(sample.learn.sum())
        loss.backward()
        losses.append(loss.item())
    expected = {
        name.replace(".default", ""): parameter.grad
        for name, parameter in peft.named_parameters()
        if parameter.requires_grad
    }
    loss, found = taught(fast, pack_of(tuple(documents)))
    assert loss.by_document.tolist() == pytest.approx(losses, rel=1e-6)
    assert loss.total.item() == pytest.approx(sum(losses), rel=1e-6)
    assert plain.furthest(found, expected) < 1e-5


def test_logits_are_those_of_peft(peft: Any) -> None:
    ids = plain.samples(70)[0].ids
    with torch.no_grad():
        expected = peft(input_ids=torch.from_numpy(ids).long()[None]).logits[0]
    torch.testing.assert_close(like(peft).logits(ids), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("targets", [(), ("v_proj", "down_proj"), (r".*[.]1[.].*[qp]_proj",)])
def test_gradients_with_dropout_are_those_of_plain_maths_with_the_same_masks(
    targets: tuple[str, ...],
) -> None:
    fast = network(dropout=0.3, targets=targets, rslora=True)
    fast.tuned = Tuning(FP32, chunk=50, loss_chunk=33)
    pack = plain.pack(60, 81, 23)
    expected = plain.loss(fast, pack, DRAW)
    expected.backward()  # type: ignore[no-untyped-call]
    gradients = plain.gradients(fast)
    loss, found = taught(fast, pack)
    assert loss.total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert plain.furthest(found, gradients) < 1e-5


def test_a_document_loses_the_same_alone_and_in_company() -> None:
    fast = network()
    documents = plain.samples(40, 3, 90, 17, 64)
    together = fast.loss(pack_of(tuple(documents)), None, Level.INPUTS).by_document
    alone = [fast.loss(pack_of((each,)), None, Level.INPUTS).total for each in documents]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-6, atol=0)


def test_what_stands_before_a_document_changes_nothing_of_it() -> None:
    fast = network()
    one, two, last = plain.samples(40, 40, 50)
    first = fast.loss(pack_of((one, last)), None, Level.INPUTS).by_document
    other = fast.loss(pack_of((two, last)), None, Level.INPUTS).by_document
    assert first[0] != other[0]
    assert torch.equal(first[1], other[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_level_gives_the_same_bits(dtype: torch.dtype) -> None:
    fast = network(dtype, dropout=0.1)
    fast.neftune = 5.0
    pack = plain.pack(300, 41, 130)
    expected, gradients = taught(fast, pack, Level.OFFLOAD)
    for level in (Level.INPUTS, Level.HALVES, Level.ATTENTION, Level.ALL):
        loss, found = taught(fast, pack, level)
        assert torch.equal(loss.total, expected.total)
        assert all(torch.equal(found[name], gradients[name]) for name in gradients)


def test_chunks_change_no_mask_and_hardly_a_digit() -> None:
    fast = network(dropout=0.2)
    fast.neftune = 5.0
    pack = plain.pack(150, 70)
    expected, gradients = taught(fast, pack)
    for chunk in (37, 128, 4096):
        fast.tuned = Tuning(FP32, chunk, loss_chunk=chunk // 2)
        loss, found = taught(fast, pack)
        assert loss.total.item() == pytest.approx(expected.total.item(), rel=1e-6)
        assert plain.furthest(found, gradients) < 1e-5


def test_evaluation_between_steps_changes_nothing() -> None:
    fast = network(torch.bfloat16, dropout=0.1)
    pack, held_out = plain.pack(150, 70), plain.pack(90, seed=4)
    state = torch.get_rng_state()
    expected, gradients = taught(fast, pack)
    before = fast.loss(held_out, None, Level.INPUTS).total
    fast.logits(held_out.ids)
    loss, found = taught(fast, pack)
    assert not before.requires_grad
    assert torch.equal(fast.loss(held_out, None, Level.ATTENTION).total, before)
    assert torch.equal(loss.total, expected.total)
    assert all(torch.equal(found[name], gradients[name]) for name in gradients)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_draw_decides_and_another_decides_otherwise() -> None:
    fast = network(dropout=0.1)
    pack = plain.pack(60)
    draws = [DRAW, Draw(1, 2, 4), Draw(1, 3, 3), Draw(2, 2, 3), DRAW]
    losses = [fast.loss(pack, draw, Level.INPUTS).total.item() for draw in draws]
    assert losses[0] == losses[-1]
    assert len(set(losses)) == 4


def test_tokens_that_are_not_learnt_count_for_nothing() -> None:
    fast = network()
    (sample,) = plain.samples(80)
    pack = pack_of((sample,))
    learn = sample.learn.copy()
    learn[40:] = False
    half = Pack(sample.ids, learn, pack.starts, pack.sources)
    rest = Pack(sample.ids, sample.learn & ~learn, pack.starts, pack.sources)
    parts = [fast.loss(part, None, Level.INPUTS).total.item() for part in (half, rest)]
    assert fast.loss(pack, None, Level.INPUTS).total.item() == pytest.approx(sum(parts), rel=1e-6)
    ids = sample.ids.copy()
    ids[-1] = (ids[-1] + 1) % 320
    changed = Pack(ids, learn, pack.starts, pack.sources)
    assert fast.loss(changed, None, Level.INPUTS).total.item() == parts[0]


def test_a_pack_of_which_nothing_is_learnt_teaches_nothing() -> None:
    (sample,) = plain.samples(30)
    nothing = Pack(sample.ids, np.zeros(30, bool), (0, 30), ("noise",))
    loss, gradients = taught(network(), nothing)
    assert loss.total.item() == 0
    assert not any(grad.any() for grad in gradients.values())


def test_bf16_is_close_to_fp32() -> None:
    fast = network(dropout=0.1)
    pack = plain.pack(150, 70)
    expected, gradients = taught(fast, pack)
    fast.dtype = torch.bfloat16
    fast.tuned = tuning_for("cuda", torch.bfloat16)
    loss, found = taught(fast, pack)
    assert loss.total.item() == pytest.approx(expected.total.item(), rel=2e-3)
    for name, grad in gradients.items():
        assert found[name].dtype == torch.float32
        assert torch.cosine_similarity(found[name].flatten(), grad.flatten(), dim=0) > 0.99


def test_noise_on_the_embedding_is_as_strong_as_it_says() -> None:
    fast = network()
    micro = fast.micro((0, 100, 500), DRAW)
    ids = np.zeros(500, np.int32)
    plainly = fast.embedded(ids, micro)
    fast.neftune = 5.0
    noise = fast.embedded(ids, micro) - plainly
    for part, length in ((noise[:100], 100), (noise[100:], 400)):
        most = 5.0 / (length * fast.shape.hidden) ** 0.5
        assert 0.98 * most < part.abs().max().item() <= most * (1 + 1e-5)
        assert part.std().item() == pytest.approx(most / 3**0.5, rel=0.05)
        assert abs(part.mean().item()) < 0.03 * most
    assert torch.equal(fast.embedded(ids, fast.micro((0, 500))), plainly)
