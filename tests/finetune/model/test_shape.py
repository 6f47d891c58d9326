"""Sizes are read from whatever transformers wrote, and what does not fit says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shoritui.errors import UserError
from shoritui.finetune.model.shape import completed, misfit, shape_named
from shoritui.gguf.shape import (
    PROJECTIONS,
    RopeScaling,
    Shape,
    config_of,
    read_config,
    shape_of_config,
)

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
        ({"model_type": "gemma\x1b"}, "not gemma�"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4}}, "longrope"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "sequence_len = 8192"),
        (
            {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
            "rotates whole heads",
        ),
    ],
)
def test_what_the_fast_network_cannot_compute_says_why(
    changes: dict[str, Any], reason: str
) -> None:
    config = MISTRAL | {"max_position_embeddings": 8192}
    assert misfit(config, 16384) == ""
    assert reason in misfit(config | changes, 16384)


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        ({"model_type": "mistral"}, {"kv_heads": 8, "window": 4096, "norm_epsilon": 1e-6}),
        ({"model_type": "qwen2", "sliding_window": 4096}, {"window": 0, "biased": PROJECTIONS[:3]}),
        (
            {"model_type": "qwen2", "use_sliding_window": True, "max_window_layers": 30},
            {"window": 4096, "unwindowed": tuple(range(30))},
        ),
        ({"model_type": "qwen3"}, {"head_size": 128, "biased": (), "has_head_norms": True}),
        ({"model_type": "smollm3", "num_hidden_layers": 9}, {"unrotated": (3, 7), "window": 0}),
        (
            MISTRAL | {"model_type": "llama", "sliding_window": 7, "mlp_bias": True},
            {"window": 0, "biased": PROJECTIONS[4:]},
        ),
    ],
)
def test_what_a_config_does_not_say_is_what_transformers_takes(
    config: dict[str, Any], facts: dict[str, Any]
) -> None:
    shape = shape_of_config(completed(config, ""), "")
    assert {name: getattr(shape, name) for name in facts} == facts


def test_a_llama_of_few_words_is_the_one_of_transformers() -> None:
    from transformers import LlamaConfig

    few: dict[str, Any] = {
        name: MISTRAL[name] for name in ("hidden_size", "num_attention_heads", "vocab_size")
    }
    few |= {"model_type": "llama", "intermediate_size": 300, "num_hidden_layers": 2}
    assert completed(few, "") is few
    assert shape_of_config(few, "") == shape_of_config(LlamaConfig(**few).to_dict(), "")


@pytest.mark.parametrize("rope", ["fast", ["yarn"], {"rope_type": "yarn"}])
def test_rotation_that_is_not_told_rightly(rope: Any) -> None:
    with pytest.raises(UserError, match=r"^here: a size is missing or wrong"):
        completed({"model_type": "llama", "rope_scaling": rope}, "here")


@pytest.mark.parametrize(
    ("rope", "scaling"),
    [
        ({"type": "linear", "factor": 2.0}, RopeScaling("linear", 2.0)),
        (
            {"type": "yarn", "original_max_position_embeddings": 2048, "beta_fast": 16},
            RopeScaling("yarn", 8.0, original_context=2048, yarn=(("beta_fast", 16.0),)),
        ),
    ],
)
def test_how_rotation_is_stretched_is_read_and_written(
    rope: dict[str, Any], scaling: RopeScaling
) -> None:
    config = MISTRAL | {"rope_scaling": rope, "max_position_embeddings": 16384}
    shape = shape_of_config(config, "")
    assert shape.rope_scaling == scaling
    assert shape_of_config(config_of(shape), "") == shape


def test_a_window_is_kept() -> None:
    assert shape_of_config(MISTRAL | {"sliding_window": 4096}, "").window == 4096


def test_a_folder_without_a_config_and_an_unknown_name_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json"):
        shape_of(tmp_path)
    with pytest.raises(UserError, match="object"):
        shape_of(written(tmp_path, []))
    with pytest.raises(UserError, match="mistral-7b"):
        shape_named("mistral-8b")
