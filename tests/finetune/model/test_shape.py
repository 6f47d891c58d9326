"""Sizes are read from whatever transformers wrote, and what does not fit says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shoritui.errors import UserError
from shoritui.finetune.model.shape import misfit, shape_named
from shoritui.gguf.shape import Shape, read_config, shape_of_config

MISTRAL = {
    "model_type": "mistral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1e6,
    "sliding_window": None,
    "hidden_act": "silu",
}


def written(folder: Path, config: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def shape_of(folder: Path) -> Shape:
    return shape_of_config(read_config(folder), "")


def test_a_config_of_transformers_4_and_5_says_the_same(tmp_path: Path) -> None:
    assert shape_of(written(tmp_path, MISTRAL)) == shape_named("mistral-7b")
    newer = {name: value for name, value in MISTRAL.items() if name != "rope_theta"}
    newer["rope_parameters"] = {"rope_theta": 1e6, "rope_type": "default"}
    assert shape_of(written(tmp_path, newer)) == shape_named("mistral-7b")


def test_the_linear_layers_are_those_of_transformers() -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=12,
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    shape = shape_of_config(config.to_dict(), "")
    assert shape.is_tied
    assert shape.linears == {
        name: tuple(module.weight.shape)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head"
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_type": "gemma"}, "gemma"),
        ({"attention_bias": True}, "biases"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "linear"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "llama3"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "yarn"),
    ],
)
def test_what_the_fast_network_cannot_compute_says_why(
    changes: dict[str, Any], reason: str
) -> None:
    assert misfit(MISTRAL) == ""
    assert reason in misfit(MISTRAL | changes)


def test_a_window_is_kept() -> None:
    assert shape_of_config(MISTRAL | {"sliding_window": 4096}, "").window == 4096


def test_a_folder_without_a_config_and_an_unknown_name_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json"):
        shape_of(tmp_path)
    with pytest.raises(UserError, match="object"):
        shape_of(written(tmp_path, []))
    with pytest.raises(UserError, match="mistral-7b"):
        shape_named("mistral-8b")
