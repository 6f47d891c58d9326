"""Models of a few thousand numbers, of every architecture that is written to a GGUF."""

from __future__ import annotations

import importlib
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import torch

from shoritui.gguf.architectures import architecture_of
from shoritui.gguf.shape import read_config

_SIZES: Final[dict[str, Any]] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_BLOOM: Final = {"hidden_size": 64, "n_layer": 2, "n_head": 4, "initializer_range": 0.2}
_GPT2: Final = {"n_positions": 512, "n_embd": 64, "n_layer": 2, "n_head": 4}
_GEMMA: Final = {**_SIZES, "head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 16}
_EXPERTS: Final = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
_SCALES: Final = {
    "embedding_multiplier": 3.0,
    "residual_multiplier": 0.5,
    "attention_multiplier": 0.2,
    "logits_scaling": 2.0,
}
_LLAMA_3: Final = {
    "rope_type": "llama3",
    "rope_theta": 5e5,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
_YARN: Final = {
    "rope_type": "yarn",
    "rope_theta": 1e6,
    "factor": 4.0,
    "original_max_position_embeddings": 128,
}
_LONG: Final = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "long_factor": [1.5 + i for i in range(8)],
    "short_factor": [1 + 0.1 * i for i in range(8)],
    "original_max_position_embeddings": 512,
}


def _like(**changes: Any) -> dict[str, Any]:
    return _SIZES | changes


_SEES: Final = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}


KINDS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "llama": ("Llama", _like(head_dim=32)),
    "llama with biases": ("Llama", _like(attention_bias=True, mlp_bias=True)),
    "llama 3": ("Llama", _like(rope_parameters=_LLAMA_3)),
    "llama, linear": (
        "Llama",
        _like(rope_parameters={"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}),
    ),
    "mistral nemo": ("Mistral", _like(head_dim=32, sliding_window=None)),
    "mistral small 3.1": (
        "Mistral3",
        {
            "text_config": _like(model_type="mistral", head_dim=32, sliding_window=None),
            "vision_config": _SEES | {"model_type": "pixtral"},
            "tie_word_embeddings": False,
        },
    ),
    "llama, yarn": ("Llama", _like(rope_parameters=_YARN)),
    "llama, yarn as told": ("Llama", _like(rope_parameters=_YARN | {"attention_factor": 1.3})),
    "ministral 3": (
        "Ministral3",
        _like(
            head_dim=32,
            rope_parameters={
                **_YARN,
                **{"mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1},
                "original_max_position_embeddings": 32,
            },
        ),
    ),
    "mixtral": ("Mixtral", _like(num_local_experts=4, num_experts_per_tok=2)),
    "arcee": ("Arcee", _like()),
    "bloom": ("Bloom", _BLOOM),
    "cohere": ("Cohere", _like(logit_scale=0.2)),
    "cohere 2": ("Cohere2", _like(num_hidden_layers=5, logit_scale=0.2, sliding_window=16)),
    "ernie 4.5": ("Ernie4_5", _like(head_dim=16, use_bias=False)),
    "exaone 4": (
        "Exaone4",
        _like(sliding_window=None, layer_types=["full_attention"] * 2),
    ),
    "falcon 7b": ("Falcon", _like(new_decoder_architecture=False, multi_query=True, bias=False)),
    "falcon 40b": ("Falcon", _like(new_decoder_architecture=True, num_kv_heads=2, bias=False)),
    "gemma": ("Gemma", _like(head_dim=32)),
    "gemma 2": ("Gemma2", _GEMMA),
    "gemma 3": ("Gemma3", _GEMMA | {"num_hidden_layers": 7}),
    "gemma 3, stretched": (
        "Gemma3",
        _GEMMA
        | {
            "num_hidden_layers": 7,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            },
        },
    ),
    "gemma 3, with eyes": (
        "Gemma3Vision",
        {"text_config": _GEMMA, "vision_config": _SEES, "mm_tokens_per_image": 4},
    ),
    "glm 4": ("Glm4", _like(head_dim=32)),
    "gpt-2": ("GPT2", _GPT2 | {"initializer_range": 0.2}),
    "gpt-neox": ("GPTNeoX", _like(rotary_pct=0.5)),
    "gpt-neox, in turn": ("GPTNeoX", _like(use_parallel_residual=False)),
    "granite": ("Granite", _like(**_SCALES)),
    "hunyuan": ("HunYuanDenseV1", _like(head_dim=32)),
    "nemotron": ("Nemotron", _like()),
    "olmo": ("Olmo", _like(clip_qkv=3.0)),
    "olmo 2": ("Olmo2", _like()),
    "olmo 3": ("Olmo3", _like(num_hidden_layers=5, sliding_window=16)),
    "olmo 3, yarn": (
        "Olmo3",
        _like(num_hidden_layers=5, sliding_window=16, rope_parameters=_YARN),
    ),
    "olmoe": ("Olmoe", _like(num_key_value_heads=4, num_experts=4, num_experts_per_tok=2)),
    "phi": ("Phi", _like(partial_rotary_factor=0.5)),
    "phi 3": ("Phi3", _like(sliding_window=None)),
    "phi 3, long": (
        "Phi3",
        _like(
            max_position_embeddings=2048,
            original_max_position_embeddings=512,
            rope_parameters=_LONG,
            sliding_window=None,
        ),
    ),
    "qwen 2": ("Qwen2", _like()),
    "qwen 2, yarn": ("Qwen2", _like(rope_parameters=_YARN)),
    "qwen 2, experts": ("Qwen2Moe", _like(**_EXPERTS, shared_expert_intermediate_size=48)),
    "qwen 3": ("Qwen3", _like(head_dim=32)),
    "qwen 3, experts": ("Qwen3Moe", _like(**_EXPERTS, head_dim=32, norm_topk_prob=True)),
    "qwen 3.5": (
        "Qwen3_5",
        _like(
            num_hidden_layers=5,
            head_dim=32,
            **{"linear_key_head_dim": 16, "linear_value_head_dim": 16},
            **{"linear_num_key_heads": 2, "linear_num_value_heads": 4},
        ),
    ),
    "seed": ("SeedOss", _like(head_dim=32)),
    "smollm 3": ("SmolLM3", _like(num_hidden_layers=5, tie_word_embeddings=True)),
    "stablelm": ("StableLm", _like(partial_rotary_factor=0.5)),
    "stablelm 2": (
        "StableLm",
        _like(
            partial_rotary_factor=0.5,
            use_qkv_bias=True,
            use_parallel_residual=True,
            qk_layernorm=True,
        ),
    ),
    "starcoder 2": ("Starcoder2", _like()),
}
"""By a name for people: transformers' class, and what is said in its config."""


def make_kind(folder: Path, kind: str, vocabulary: int = 320) -> Path:
    """The folder, as transformers writes it, without a tokenizer."""
    transformers: Any = importlib.import_module("transformers")
    name, sizes = deepcopy(KINDS[kind])  # a config changes what it is given
    torch.manual_seed(5)
    if "text_config" in sizes:
        sizes = sizes | {"text_config": sizes["text_config"] | {"vocab_size": vocabulary}}
    else:
        sizes = sizes | {"vocab_size": vocabulary}
    model = getattr(transformers, _CLASSES.get(name, f"{name}ForCausalLM"))(
        settings_of(kind)(**sizes)
    )
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if any(part in parameter_name for part in ("norm", "bias", "ln_")):
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    model.save_pretrained(folder)
    return folder


def difference_of(folder: Path) -> float:
    """By how much llama.cpp may answer otherwise."""
    config = read_config(folder)
    return architecture_of(config.get("text_config", config), "").difference


def settings_of(kind: str) -> Any:
    """transformers' class of its config."""
    transformers: Any = importlib.import_module("transformers")
    name = KINDS[kind][0]
    return getattr(transformers, _CONFIGS.get(name, f"{name}Config"))


_CONFIGS: Final = {
    "Qwen3_5": "Qwen3_5TextConfig",
    "Gemma3": "Gemma3TextConfig",
    "Gemma3Vision": "Gemma3Config",
}
_CLASSES: Final = {
    "GPT2": "GPT2LMHeadModel",
    "Gemma3Vision": "Gemma3ForConditionalGeneration",
    "Mistral3": "Mistral3ForConditionalGeneration",
}
