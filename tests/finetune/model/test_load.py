"""A folder is opened as what it is, and says in one sentence what is wrong with it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from shoritui.errors import UserError
from shoritui.finetune.config.model import Base, Config, Lora, Tier, Train
from shoritui.finetune.events import Preparing, Reported
from shoritui.finetune.model import adapter
from shoritui.finetune.model.interface import Trainable
from shoritui.finetune.model.load import open_model
from shoritui.finetune.model.network import Network

CPU = torch.device("cpu")
IDS = np.arange(5, 45, dtype=np.int32) * 7 % 256


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def mistral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("mistral"))


def saved(folder: Path, kind: str = "Mistral", **changes: Any) -> Path:
    """A model with random weights, in several files."""
    import transformers

    torch.manual_seed(11)
    sizes = {
        "vocab_size": 256,
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "initializer_range": 0.1,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        **changes,
    }
    config = getattr(transformers, f"{kind}Config")(**sizes)
    model = getattr(transformers, f"{kind}ForCausalLM")(config)
    model.save_pretrained(folder, max_shard_size="200KB")
    return folder


def config_of(quantize: Any = "none", precision: Any = "fp32", **lora: Any) -> Config:
    train = Train(precision=precision)
    return Config(
        path=Path("finetune.toml"),
        tiers=(Tier("low", ("*.txt",), train=train),),
        base=Base("folder", quantize=quantize),
        lora=Lora(**lora),
    )


def opened(folder: Path, config: Config | None = None) -> Trainable:
    return open_model(config or config_of(), folder, CPU, lambda event: None)


def reference(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval()


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(input_ids=torch.from_numpy(IDS).long()[None], use_cache=False).logits
    return found[0]


def far(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Mistral", {}),
        ("Llama", {"tie_word_embeddings": True, "head_dim": 32, "rms_norm_eps": 1e-5}),
    ],
)
def test_logits_are_transformers_own(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    folder = saved(tmp_path, kind, **changes)
    model = opened(folder)
    assert model.is_fast
    assert far(model.logits(IDS), logits(reference(folder))) < 1e-5


@pytest.mark.parametrize("pieces", [(40,), (6, 1, 1, 20, 12)])
def test_a_document_longer_than_the_window_is_read_as_transformers_does(
    pieces: tuple[int, ...], tmp_path: Path
) -> None:
    folder = saved(tmp_path, sliding_window=8)
    model = opened(folder)
    expected = logits(reference(folder))
    reading, at = model.reading(room=len(IDS)), 0
    for piece in pieces:
        found = reading.read(IDS[at : at + piece])
        at += piece
        assert far(found, expected[at - 1]) < 1e-5


def test_four_bits_are_those_of_bitsandbytes(mistral: Path) -> None:
    """The base that other programs load in 4 bits is the same, bit for bit."""
    bnb: Any = importlib.import_module("bitsandbytes")
    tensors = {k: v for path in mistral.glob("*.safetensors") for k, v in load_file(path).items()}
    network = opened(mistral, config_of("nf4"))
    assert isinstance(network, Network)
    for layer, weights in enumerate(network.weights.layers):
        for name in ("q_proj", "down_proj"):
            weight = tensors[f"{network.shape.path(layer, name)}.weight"]
            theirs = bnb.nn.Linear4bit(
                *(weight.shape[1], weight.shape[0]), bias=False, quant_type="nf4"
            )
            theirs.weight = bnb.nn.Params4bit(weight, quant_type="nf4", compress_statistics=True)
            theirs.to("cpu")
            dense = bnb.functional.dequantize_4bit(theirs.weight.data, theirs.weight.quant_state)
            assert torch.equal(weights.projections[name].dense(torch.float32), dense)
            assert not torch.equal(dense, weight)


def test_what_is_not_quantised_is_in_the_tier_s_precision(mistral: Path) -> None:
    network = opened(mistral, config_of("nf4", "bf16"))
    assert isinstance(network, Network)
    weights = network.weights
    held = (weights.embedding, weights.head, weights.norm, weights.layers[0].mlp_norm)
    assert {tensor.dtype for tensor in held} == {torch.bfloat16}
    assert {one.dtype for one in network.adapter.values()} == {torch.float32}


def test_loading_is_told_layer_by_layer(mistral: Path) -> None:
    told: list[Preparing | Reported] = []
    open_model(config_of(), mistral, CPU, told.append)
    assert [(event.done, event.total) for event in told if isinstance(event, Preparing)] == [
        *((0, 3), (1, 3), (2, 3), (3, 3))
    ]


def test_an_adapter_for_some_layers(mistral: Path) -> None:
    found = opened(mistral, config_of(r=4, targets=("o_proj",))).adapter
    assert list(found)[:2] == [
        f"base_model.model.model.layers.0.self_attn.o_proj.lora_{part}.weight" for part in "AB"
    ]
    assert len(found) == 6


@pytest.mark.parametrize("rslora", [False, True])
def test_an_adapter_does_the_same_here_and_in_peft(
    mistral: Path, rslora: bool, tmp_path: Path
) -> None:
    peft: Any = importlib.import_module("peft")
    config = config_of(r=6, alpha=10, rslora=rslora)
    model = opened(mistral, config)
    torch.manual_seed(2)
    for parameter in model.adapter.values():
        parameter.data.normal_(std=0.05)
    adapter.save(tmp_path / "adapter", model.adapter, config.lora, "base")
    theirs = peft.PeftModel.from_pretrained(reference(mistral), tmp_path / "adapter").eval()
    assert far(model.logits(IDS), logits(theirs)) < 1e-5
    assert far(model.logits(IDS), logits(reference(mistral))) > 1e-2


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """The folder's weights in one file, changed."""
    tensors = {k: v for path in folder.glob("*.safetensors") for k, v in load_file(path).items()}
    for path in folder.glob("model*"):
        path.unlink()
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def without(name: str) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.__delitem__(name)


def with_tensor(name: str, tensor: Tensor) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.__setitem__(name, tensor)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without("model.norm.weight"), "not complete: the weights have no model.norm.weight"),
        (without("lm_head.weight"), "not complete: the weights have no lm_head.weight"),
        (
            with_tensor("model.layers.1.mlp.up_proj.weight", torch.zeros(4, 64)),
            "up_proj.weight is 4 x 64, but config.json says 160 x 64",
        ),
        (with_tensor("model.layers.0.moe.gate", torch.zeros(2)), "have model.layers.0.moe.gate"),
        (with_tensor("\x1b[2Jgone", torch.zeros(2)), r"weights have �\[2Jgone, for which"),
        (
            with_tensor("model.norm.weight", torch.zeros(64, dtype=torch.int8)),
            "model.norm.weight is stored as I8",
        ),
    ],
)
def test_weights_that_do_not_fit(
    change: Callable[[dict[str, Tensor]], None], sentence: str, tmp_path: Path
) -> None:
    rewrite(saved(tmp_path), change)
    with pytest.raises(UserError, match=sentence):
        opened(tmp_path)


def test_a_buffer_that_older_files_hold_is_passed_over(tmp_path: Path) -> None:
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    rewrite(saved(tmp_path), with_tensor(name, torch.zeros(8)))
    assert opened(tmp_path).is_fast


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    rewrite(saved(tmp_path), lambda tensors: None)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"is damaged, or no file of safetensors: download or copy"):
        opened(tmp_path)


def test_a_part_that_is_missing(tmp_path: Path) -> None:
    next(saved(tmp_path).glob("model-00002*")).unlink()
    with pytest.raises(UserError, match=r"model-00002-.* is missing"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"quantization_config": {"load_in_4bit": True}}, "quantised already"),
        ({"num_attention_heads": None}, "a size is missing or wrong"),
    ],
)
def test_a_config_that_cannot_be_used(
    changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    path = saved(tmp_path) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(UserError, match=sentence):
        opened(tmp_path)


def test_tiers_share_their_precision(mistral: Path) -> None:
    tiers = (
        Tier("low", ("*",), train=Train(precision="fp32")),
        Tier("high", ("*",), train=Train(precision="bf16")),
    )
    with pytest.raises(UserError, match="tier high has another precision than low"):
        opened(mistral, Config(Path("finetune.toml"), tiers))
