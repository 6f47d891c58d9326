"""A model of transformers without numbers: the whole config of some settings, and its tensors.

transformers is loaded when it is asked, which takes seconds. Of a llama, which most files are, the
answer is known without it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

from shoritui.finetune.quiet_libraries import quieten
from shoritui.gguf.shape import shape_of_config

Sizes = dict[str, tuple[int, ...]]

_LAYERS: Final = "full_attention"
_LLAMA: Final[Mapping[str, Any]] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 0,
    "hidden_size": 0,
    "intermediate_size": 0,
    "num_hidden_layers": 0,
    "num_attention_heads": 0,
    "num_key_value_heads": None,
    "head_dim": None,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {},
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}


def blank_model(kind: str, settings: Mapping[tuple[str, ...], Any]) -> tuple[dict[str, Any], Sizes]:
    """Return the config.json of a model of this `model_type`, and the sizes of its tensors.

    Each setting is made under the first of its names that such a model has, or simply the first; an
    empty one says that it may be left out. The tensors have the names of a checkpoint. `ValueError`
    and the like if no model is made so.
    """
    if kind == "llama" and (known := _llama(settings)):
        return known
    quieten()
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    loading: Any = importlib.import_module("transformers.core_model_loading")
    default = transformers.AutoConfig.for_model(kind)
    chosen: dict[str, Any] = {}
    for names, value in settings.items():
        name = next((each for each in names if not each or _has(default, each)), names[0])
        if name:
            chosen[name] = _by_layer(getattr(default, name, None), value)
    config = type(default)(**chosen)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
        tensors = loading.revert_weight_conversion(model, model.state_dict())
    tied = set(model.all_tied_weights_keys)
    made = {**config.to_dict(), "architectures": [type(model).__name__]}
    made.pop("transformers_version", None)
    return made, {name: tuple(one.shape) for name, one in tensors.items() if name not in tied}


def _llama(settings: Mapping[tuple[str, ...], Any]) -> tuple[dict[str, Any], Sizes] | None:
    """Return the same of a llama; None if it is none that is known here."""
    config = dict(_LLAMA)
    for names, value in settings.items():
        name = next((each for each in names if not each or each in _LLAMA), None)
        if name is None:
            return None
        if name:
            config[name] = value
    return config, shape_of_config(config, "").tensors


def _has(config: Any, name: str) -> bool:
    """Return whether a config has such a setting, and not as something that follows from others."""
    return hasattr(config, name) and not isinstance(getattr(type(config), name, None), property)


def _by_layer(default: Any, value: Any) -> Any:
    """Return a setting as it is, or that of layers which see all beside that of the others."""
    if isinstance(default, dict) and isinstance(value, dict) and _LAYERS in default:
        return {**default, _LAYERS: value}
    return value
