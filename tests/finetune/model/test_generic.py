"""Architectures that the fast network does not compute are trained right, and it is said."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from shoritui.errors import UserError
from shoritui.finetune.config.model import Base, Config, Lora, Preference, Tier, Train
from shoritui.finetune.data.packs import Pack, Sample, pack_of
from shoritui.finetune.events import Preparing, Reported
from shoritui.finetune.model import adapter
from shoritui.finetune.model.interface import Draw, Level, Trainable
from shoritui.finetune.model.load import open_model
from shoritui.finetune.model.optimizer import make_optimizer
from shoritui.finetune.run.objectives import Pairs

CPU = torch.device("cpu")
SIZES: dict[str, Any] = {
    "vocab_size": 160,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.1,
}
GEMMA: dict[str, Any] = {
    **SIZES,
    "head_dim": 16,
    "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention"],
    "pad_token_id": 0,
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def olmo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("olmo"), "Olmo2", SIZES)


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("gemma"), "Gemma2", GEMMA)


def saved(folder: Path, kind: str, sizes: dict[str, Any]) -> Path:
    transformers: Any = importlib.import_module("transformers")
    torch.manual_seed(5)
    sees = "vision_config" in sizes
    text = "" if sees or not hasattr(transformers, f"{kind}TextConfig") else "Text"
    config = getattr(transformers, f"{kind}{text}Config")(**sizes)
    auto = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
    auto.from_config(config).save_pretrained(folder)
    return folder


def config_of(quantize: Any = "none", dropout: float = 0.1, **train: Any) -> Config:
    settings = Train(**{"precision": "fp32", "learning_rate": 1e-2, **train})
    return Config(
        path=Path("finetune.toml"),
        tiers=(Tier("low", ("*",), train=settings),),
        base=Base("folder", quantize=quantize),
        lora=Lora(r=4, dropout=dropout),
    )


def opened(folder: Path, config: Config | None = None) -> Trainable:
    return open_model(config or config_of(), folder, CPU, lambda event: None)


def sample(length: int, seed: int) -> Sample:
    draw = np.random.default_rng(seed)
    learn = draw.random(length) < 0.7
    learn[0] = False
    return Sample(draw.integers(1, 160, length).astype(np.int32), learn, f"file:{seed}")


SAMPLES = (sample(30, 1), sample(45, 2), sample(12, 3))


def train_steps(model: Trainable, config: Config, steps: range, *, evaluates: bool = False) -> None:
    train = config.tiers[0].train
    optimizer = make_optimizer(model.adapter, config.lora, train)
    for step in steps:
        optimizer.zero_grad(set_to_none=True)
        loss = model.loss(pack_of(SAMPLES), Draw(train.seed, step, 0), Level.INPUTS)
        loss.total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if evaluates:
            model.loss(pack_of(SAMPLES), None, Level.INPUTS)
            model.logits(SAMPLES[0].ids)


def values(model: Trainable) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.adapter.items()}


def by_document(model: Trainable, pack: Pack) -> list[float]:
    return [float(one) for one in model.loss(pack, None, Level.INPUTS).by_document]


@pytest.mark.parametrize("folder", ["olmo", "gemma"])
def test_preferences_are_learnt_through_transformers_as_by_the_fast_network(
    folder: str, request: pytest.FixtureRequest
) -> None:
    model = opened(request.getfixturevalue(folder))
    pack = pack_of((SAMPLES[0], SAMPLES[1]))
    before = model.loss(pack, None, Level.INPUTS).by_document
    known = replace(pack, reference=before.numpy() + np.array([0.5, -1.5]))
    draw, settings = Draw(1, 2, 0), Preference(beta=0.5)
    total = Pairs(settings).total(known, model.loss(pack, draw, Level.INPUTS).by_document)
    found = torch.autograd.grad(total, list(model.adapter.values()))
    losses = model.loss(pack, draw, Level.INPUTS).by_document
    ratios = [
        float(loss) for loss in torch.from_numpy(np.asarray(known.reference)) - losses.detach()
    ]
    margin = 0.5 * (ratios[0] - ratios[1])
    scale = 0.5 / (1 + math.exp(margin))
    weighed = scale * losses[0] - scale * losses[1]
    expected = torch.autograd.grad(weighed, list(model.adapter.values()))
    assert float(total.detach()) == pytest.approx(math.log1p(math.exp(-margin)))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-8)


def test_it_is_said(olmo: Path) -> None:
    told: list[Preparing | Reported] = []
    model = open_model(config_of(), olmo, CPU, told.append)
    assert not model.is_fast
    (sentence,) = [event.text for event in told if isinstance(event, Reported)]
    assert "transformers and PEFT, more slowly" in sentence
    assert "olmo2" in sentence


@pytest.mark.parametrize("folder", ["olmo", "gemma"])
def test_a_pack_is_its_documents(folder: str, request: pytest.FixtureRequest) -> None:
    model = opened(request.getfixturevalue(folder))
    packed = by_document(model, pack_of(SAMPLES))
    assert packed == [by_document(model, pack_of((one,)))[0] for one in SAMPLES]
    log_chances = model.logits(SAMPLES[1].ids).log_softmax(-1)
    places = SAMPLES[1].learn.nonzero()[0]
    expected = -sum(float(log_chances[at - 1, int(SAMPLES[1].ids[at])]) for at in places)
    assert packed[1] == pytest.approx(expected, rel=1e-5)


def test_it_learns_and_evaluation_changes_nothing(gemma: Path) -> None:
    config = config_of("nf4", optimizer="adamw8bit")
    plain, watched = opened(gemma, config), opened(gemma, config)
    before = sum(by_document(plain, pack_of(SAMPLES)))
    train_steps(plain, config, range(4))
    train_steps(watched, config, range(4), evaluates=True)
    assert sum(by_document(plain, pack_of(SAMPLES))) < before
    for name, tensor in values(plain).items():
        assert torch.equal(tensor, watched.adapter[name])


def test_the_same_draw_gives_the_same_gradients(olmo: Path) -> None:
    model = opened(olmo)
    with torch.no_grad():
        for parameter in model.adapter.values():
            parameter.normal_()

    def gradients(draw: Draw) -> list[Tensor]:
        torch.rand(1)  # nothing depends on how often PyTorch was asked before
        loss = model.loss(pack_of(SAMPLES), draw, Level.INPUTS)
        return list(torch.autograd.grad(loss.total, list(model.adapter.values())))

    first, again = gradients(Draw(1, 2, 3)), gradients(Draw(1, 2, 3))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    other = gradients(Draw(1, 2, 4))
    assert not any(torch.equal(one, other) for one, other in zip(first, other, strict=True))


def test_training_leaves_the_generator_of_torch_alone(olmo: Path) -> None:
    model = opened(olmo)
    before = torch.get_rng_state()
    model.loss(pack_of(SAMPLES), Draw(1, 1, 1), Level.INPUTS).total.backward()  # type: ignore[no-untyped-call]
    assert torch.equal(torch.get_rng_state(), before)


def test_gradients_are_those_without_checkpoints(olmo: Path) -> None:
    """What is computed again for the backward pass has the same dropout as it had before."""
    model: Any = opened(olmo)
    with torch.no_grad():
        for parameter in model.adapter.values():
            parameter.normal_(std=0.1)
    found = []
    for _ in range(2):
        loss = model.loss(pack_of(SAMPLES), Draw(1, 1, 1), Level.INPUTS)
        found.append(torch.autograd.grad(loss.total, list(model.adapter.values())))
        model._model.get_base_model().activation_checkpointing_disable()
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)


def test_noise_is_of_training_alone(olmo: Path) -> None:
    calm = opened(olmo, config_of(dropout=0.0))
    noisy = opened(olmo, config_of(dropout=0.0, neftune=5.0))
    pack, draw = pack_of(SAMPLES), Draw(1, 1, 1)
    assert by_document(calm, pack) == by_document(noisy, pack)
    losses = [float(one.loss(pack, draw, Level.INPUTS).total.detach()) for one in (calm, noisy)]
    assert losses[0] == pytest.approx(sum(by_document(calm, pack)), rel=1e-6)
    assert losses[1] != losses[0]
    assert by_document(calm, pack) == by_document(noisy, pack)


def test_a_document_of_which_nothing_is_learnt(olmo: Path) -> None:
    silent = Sample(SAMPLES[0].ids, np.zeros(30, dtype=np.bool_), "file:1")
    model = opened(olmo)
    loss = model.loss(pack_of((silent, SAMPLES[1])), Draw(1, 1, 1), Level.INPUTS)
    assert float(loss.by_document.detach()[0]) == 0
    loss.total.backward()  # type: ignore[no-untyped-call]


def test_its_adapter_is_one_for_peft(olmo: Path, tmp_path: Path) -> None:
    peft: Any = importlib.import_module("peft")
    transformers: Any = importlib.import_module("transformers")
    config = config_of()
    model = opened(olmo, config)
    train_steps(model, config, range(2))
    adapter.save(tmp_path / "adapter", values(model), config.lora, "base")
    base = transformers.AutoModelForCausalLM.from_pretrained(olmo, dtype=torch.float32)
    theirs = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    ids = SAMPLES[1].ids
    with torch.no_grad():
        logits = theirs(input_ids=torch.from_numpy(ids).long()[None], use_cache=False).logits[0]
    assert torch.allclose(model.logits(ids), logits, rtol=1e-5, atol=1e-6)


EXPERTS: dict[str, Any] = {
    **SIZES,
    **{"num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2, "pad_token_id": 0},
}
LATENT: dict[str, Any] = {
    **EXPERTS,
    **{"q_lora_rank": 16, "kv_lora_rank": 16, "n_group": 1, "topk_group": 1},
    **{"qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 16, "n_routed_experts": 4},
    **{"first_k_dense_replace": 1, "moe_intermediate_size": 32, "num_key_value_heads": 4},
}
SEES: dict[str, Any] = {
    "text_config": {**GEMMA, "model_type": "gemma2"},
    "vision_config": {"model_type": "pixtral", "hidden_size": 32, "num_hidden_layers": 1},
    "image_token_index": 10,
}
MANY: dict[str, tuple[dict[str, Any], str, str]] = {
    "GPT2": (
        {"vocab_size": 160, "n_embd": 64, "n_layer": 2, "n_head": 4},
        "c_attn c_fc c_proj",
        "",
    ),
    "Mixtral": (EXPERTS, "k_proj o_proj q_proj v_proj", "experts"),
    "DeepseekV3": (LATENT, "kv_a_proj_with_mqa kv_b_proj o_proj q_a_proj q_b_proj", "experts"),
    "Mamba": ({**SIZES, "state_size": 4}, "dt_proj in_proj x_proj", "out_proj"),
    "Llava": (SEES, "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj", ""),
    "Cohere2": (GEMMA, "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj", ""),
    "Falcon": (SIZES, "dense dense_4h_to_h dense_h_to_4h query_key_value", ""),
    "Gemma3": (GEMMA, "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj", ""),
    "GPTNeoX": (SIZES, "dense dense_4h_to_h dense_h_to_4h query_key_value", ""),
    "Granite": (SIZES, "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj", ""),
    "Lfm2": (
        {**SIZES, "layer_types": ["conv", "full_attention"]},
        "in_proj k_proj out_proj q_proj v_proj w1 w2 w3",
        "",
    ),
    "Llama4": (EXPERTS, "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj", "experts"),
    "Phi3": (GEMMA, "down_proj gate_up_proj o_proj qkv_proj", ""),
    "Qwen3Moe": (EXPERTS, "k_proj o_proj q_proj v_proj", "experts"),
    "StableLm": (SIZES, "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj", ""),
    "Starcoder2": (SIZES, "c_fc c_proj k_proj o_proj q_proj v_proj", ""),
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=() if place < 4 else pytest.mark.slow)
        for place, kind in enumerate(MANY)
    ],
)
def test_an_architecture_that_transformers_knows_learns(kind: str, tmp_path: Path) -> None:
    sizes, layers, left = MANY[kind]
    config = config_of("none" if kind == "Mamba" else "nf4", dropout=0.0)
    told: list[Preparing | Reported] = []
    model = open_model(config, saved(tmp_path, kind, sizes), CPU, told.append)
    assert not model.is_fast
    assert {adapter.kind_of(one) for one in adapter.linears_in(values(model))} == {*layers.split()}
    said = " ".join(event.text for event in told if isinstance(event, Reported))
    assert left in said and ("stay as they are" in said) == bool(left)
    before = by_document(model, pack_of(SAMPLES))
    alone = [by_document(model, pack_of((one,)))[0] for one in SAMPLES]
    assert before == pytest.approx(alone, rel=1e-5)
    train_steps(model, config, range(3))
    assert sum(by_document(model, pack_of(SAMPLES))) < sum(before)
    reading = model.reading(room=12)
    assert torch.isfinite(reading.read(SAMPLES[0].ids[:12])).all()


def test_an_architecture_that_four_bits_are_not_for(tmp_path: Path) -> None:
    folder = saved(tmp_path, "Mamba", MANY["Mamba"][0])
    with pytest.raises(UserError, match=r'does not compute in four bits .*quantize = "none"'):
        opened(folder, config_of("nf4"))


def test_a_target_that_it_does_not_have(olmo: Path) -> None:
    config = Config(Path("x"), config_of().tiers, Base(quantize="none"), Lora(targets=("qkv",)))
    with pytest.raises(UserError, match="no linear layer 'qkv'; name some of q_proj"):
        opened(olmo, config)


def test_an_architecture_that_transformers_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "shoggoth"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"transformers cannot load this base \(.*shoggoth"):
        opened(tmp_path)


def test_weights_that_are_missing(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = saved(tmp_path, "Olmo2", SIZES) / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"the weights have no .*layers.1.mlp.up_proj.weight"):
        opened(tmp_path)


def test_a_document_read_in_pieces_gives_the_logits_of_the_whole(olmo: Path) -> None:
    model = opened(olmo)
    ids = np.arange(12, dtype=np.int32) * 31 % 160
    reading = model.reading(room=12)
    for piece in (ids[:7], ids[7:8], ids[8:]):
        found = reading.read(piece)
    torch.testing.assert_close(found, model.logits(ids)[-1])
