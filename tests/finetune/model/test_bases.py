"""Each base that the fast network claims learns as it does through transformers and PEFT."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from shoritui.errors import UserError
from shoritui.finetune.base_model import folder_of
from shoritui.finetune.config.model import Base, Config, Lora, Tier, Train
from shoritui.finetune.data.packs import Pack, Sample, pack_of
from shoritui.finetune.data.tokenizer import open_tokenizer
from shoritui.finetune.model.generic import open_generic
from shoritui.finetune.model.interface import Draw, Level, Trainable
from shoritui.finetune.model.load import open_model
from shoritui.finetune.model.network import Network
from shoritui.finetune.model.precision import Precision, Tuning
from tests import smollm2
from tests.finetune.model import plain

CPU = torch.device("cpu")
DRAW = Draw(seed=1, step=2, pack=3)
SIZES: Final[dict[str, Any]] = {
    "vocab_size": 160,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}


def stretched(kind: str, **settings: Any) -> dict[str, Any]:
    """Rotation that is another one within a few tokens."""
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 500.0, "factor": 4.0, **settings}}


LLAMA3 = stretched(
    "llama3", low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32
)
BEGINNING: Final = {"original_max_position_embeddings": 32}
YARN = stretched("yarn", **BEGINNING)
YARN_IN_FULL = stretched(
    "yarn",
    original_max_position_embeddings=32,
    mscale=0.7,
    mscale_all_dim=0.4,
    beta_fast=16,
    beta_slow=2,
    truncate=False,
)
SEES: Final = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
BASES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "Llama 2": ("Llama", {"num_key_value_heads": 4}),
    "Llama 3.1": ("Llama", LLAMA3),
    "SmolLM 2": ("Llama", {"tie_word_embeddings": True, "num_attention_heads": 8}),
    "Llama, stretched evenly": ("Llama", stretched("linear")),
    "Llama, stretched by length": ("Llama", stretched("dynamic")),
    "Llama, with biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "Mistral Nemo": ("Mistral", {"head_dim": 24, "sliding_window": None}),
    "Mistral, stretched": ("Mistral", {"sliding_window": None, **YARN_IN_FULL}),
    "Mistral 0.1, within its window": ("Mistral", {"sliding_window": 90}),
    "Mistral 0.1, beyond its window": ("Mistral", {"sliding_window": 30}),
    "Qwen 2.5": ("Qwen2", {"tie_word_embeddings": True}),
    "Qwen 2.5, stretched": ("Qwen2", YARN),
    "Qwen 2, beyond its window": (
        "Qwen2",
        {"use_sliding_window": True, "sliding_window": 20, "max_window_layers": 1},
    ),
    "Qwen 3": ("Qwen3", {"head_dim": 24}),
    "Qwen 3, with biases": ("Qwen3", {"head_dim": 16, "attention_bias": True, **YARN}),
    "Ministral": (
        "Ministral",
        {
            "head_dim": 16,
            "sliding_window": 20,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
    ),
    "Ministral 3": (
        "Ministral3",
        {"head_dim": 24, **stretched("yarn", **{**BEGINNING, "llama_4_scaling_beta": 0.3})},
    ),
    "Mistral Small 3.1": (
        "Mistral3",
        {
            "text_config": {**SIZES, "model_type": "mistral", "head_dim": 24},
            "vision_config": {**SEES, "model_type": "pixtral", "num_attention_heads": 2},
            "image_token_index": 10,
        },
    ),
    "Llava": (
        "Llava",
        {
            "text_config": {**SIZES, "model_type": "llama", "attention_bias": True},
            "vision_config": {**SEES, "model_type": "clip_vision_model", "num_attention_heads": 2},
            "image_token_index": 10,
            "tie_word_embeddings": True,
        },
    ),
    "InternVL": (
        "InternVL",
        {
            "text_config": {**SIZES, "model_type": "qwen3", "head_dim": 16},
            "vision_config": {**SEES, "num_attention_heads": 2},
            "image_token_id": 10,
        },
    ),
    "SmolLM 3": ("SmolLM3", {"no_rope_layers": [1, 0, 1], "pad_token_id": 0}),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=BASES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("base"), *BASES[request.param])


def saved(folder: Path, kind: str, changes: dict[str, Any]) -> Path:
    """A model of noise, of whose numbers none is just 0 or 1."""
    transformers: Any = importlib.import_module("transformers")
    torch.manual_seed(5)
    sees = "vision_config" in changes
    config = getattr(transformers, f"{kind}Config")(**(changes if sees else SIZES | changes))
    auto = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
    model = auto.from_config(config)
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            parameter.data.uniform_(0.5, 1.5)
        else:
            parameter.data.normal_(std=0.3 if name.endswith("bias") else 0.1)
    model.save_pretrained(folder)
    return folder


def config_of(**base: Any) -> Config:
    train = Train(precision="fp32", sequence_len=128)
    return Config(
        path=Path("finetune.toml"),
        tiers=(Tier("low", ("*",), train=train),),
        base=Base("folder", **{"quantize": "none", **base}),
        lora=Lora(r=4, dropout=0.0),
    )


def opened(folder: Path, config: Config | None = None) -> Network:
    model = open_model(config or config_of(), folder, CPU, lambda event: None)
    assert isinstance(model, Network)
    fill(model)
    return model


def fill(model: Trainable) -> None:
    """Have its adapter do something."""
    torch.manual_seed(7)
    for _, parameter in sorted(model.adapter.items()):
        parameter.data.normal_(std=0.05)


NOISE: Final = plain.pack(60, 25, 83, vocabulary=160)


def taught(
    model: Trainable, pack: Pack = NOISE, level: Level = Level.HALVES
) -> tuple[Any, dict[str, torch.Tensor]]:
    loss = model.loss(pack, DRAW, level)
    loss.total.backward()  # type: ignore[no-untyped-call]
    return loss, plain.gradients(model)


def test_losses_and_gradients_are_those_of_the_slow_path(base: Path) -> None:
    config = config_of()
    slow = open_generic(config, config.tiers[0].train, base, CPU, lambda event: None)
    fill(slow)
    fast = opened(base)
    fast.tuned = Tuning(Precision(torch.float32, torch.float32), chunk=50, loss_chunk=33)
    expected, gradients = taught(slow)
    loss, found = taught(fast)
    torch.testing.assert_close(loss.by_document, expected.by_document, rtol=1e-6, atol=0)
    assert plain.furthest(found, gradients) < 1e-5
    ids = plain.samples(40, vocabulary=160)[0].ids
    torch.testing.assert_close(fast.logits(ids), slow.logits(ids), rtol=1e-5, atol=1e-5)


def test_what_is_kept_for_the_way_back_changes_no_bit(base: Path) -> None:
    fast = opened(base)
    expected, gradients = taught(fast, level=Level.OFFLOAD)
    for level in (Level.INPUTS, Level.ATTENTION, Level.ALL):
        loss, found = taught(fast, level=level)
        assert torch.equal(loss.total, expected.total)
        assert all(torch.equal(found[name], gradients[name]) for name in gradients)


def test_a_document_read_piece_by_piece_has_the_logits_of_the_whole(base: Path) -> None:
    fast = opened(base)
    ids = plain.samples(40, vocabulary=160)[0].ids
    expected, reading = fast.logits(ids), fast.reading(room=40)
    for end, start in ((30, 0), (31, 30), (40, 31)):
        found = reading.read(ids[start:end])
        torch.testing.assert_close(found, expected[end - 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("before", ["language_model.model.", "model.language_model."])
def test_weights_of_what_reads_have_their_names_of_old_and_new(before: str, tmp_path: Path) -> None:
    folder = saved(tmp_path, *BASES["Mistral Small 3.1"])
    ids = plain.samples(20, vocabulary=160)[0].ids
    expected = opened(folder).logits(ids)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    named = {re.sub(r".*language_model\.model\.", before, name): tensors[name] for name in tensors}
    save_file(named, path, metadata={"format": "pt"})
    assert torch.equal(opened(folder).logits(ids), expected)
    del named[f"{before}layers.1.mlp.up_proj.weight"]
    save_file(named, path, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"the weights have no model\.layers\.1\.mlp\.up_proj"):
        opened(folder)


@pytest.mark.parametrize(
    ("base", "name"),
    [("SmolLM 2", "lm_head.weight"), ("Mistral Small 3.1", "language_model.lm_head.weight")],
)
def test_a_head_that_is_there_is_the_head(base: str, name: str, tmp_path: Path) -> None:
    """Whatever the config says, or transformers where it is mute: Mistral Small 3.1's does not."""
    folder, config = saved(tmp_path, *BASES[base]), config_of()
    path = folder / "model.safetensors"
    tensors = load_file(path)
    embedding = next(one for key, one in tensors.items() if key.endswith("embed_tokens.weight"))
    save_file(tensors | {name: embedding.clone()}, path, metadata={"format": "pt"})
    assert opened(folder).shape.is_tied
    save_file(tensors | {name: embedding.flip(0)}, path, metadata={"format": "pt"})
    fast = opened(folder)
    slow = open_generic(config, config.tiers[0].train, folder, CPU, lambda event: None)
    fill(slow)
    ids = plain.samples(20, vocabulary=160)[0].ids
    assert not fast.shape.is_tied
    torch.testing.assert_close(fast.logits(ids), slow.logits(ids), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_smollm2_learns_by_its_real_weights_as_in_fp64() -> None:
    """Out of its GGUF, from text that somebody wrote.

    Its first token is thousands of times as large as the others, on which autograd's way back
    through norms loses digits: transformers and PEFT are further from fp64 than the fast network.
    """
    folder = folder_of(Base(str(smollm2.installed())), lambda event: None)
    tokenizer = open_tokenizer(folder)
    documents = []
    for text in ("She had not slept. The harbour was loud with gulls.", "*The door falls shut.*"):
        ids = np.array(tokenizer.ids(text, first=True), np.int32)
        documents.append(Sample(ids, np.arange(len(ids)) > 0, "text"))
    pack, config = pack_of(tuple(documents)), config_of()
    slow = open_generic(config, config.tiers[0].train, folder, CPU, lambda event: None)
    fill(slow)
    other, theirs = taught(slow, pack)
    del slow
    fast = opened(folder)
    loss, found = taught(fast, pack)
    expected = plain.loss(fast, pack, None)
    expected.backward()  # type: ignore[no-untyped-call]
    gradients = plain.gradients(fast)
    assert loss.total.item() == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(loss.by_document, other.by_document, rtol=1e-5, atol=0)
    ours = plain.furthest(found, gradients)
    assert ours < 3e-5 and ours <= plain.furthest(theirs, gradients) < 3e-4
