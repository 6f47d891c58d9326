"""A model of transformers without numbers: the whole config of some settings, and its tensors.

transformers is loaded when it is asked, which takes seconds, and only where a GGUF is unpacked.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

from shoritui.finetune.quiet_libraries import quieten

_LAYERS: Final = "full_attention"


def blank_model(
    kind: str, settings: Mapping[tuple[str, ...], Any]
) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Return the config.json of a model of this `model_type`, and the sizes of its tensors.

    Each setting is made under the first of its names that such a model has, or simply the first; an
    empty one says that it may be left out. The tensors have the names of a checkpoint. `ValueError`
    and the like if no model is made so.
    """
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


def _has(config: Any, name: str) -> bool:
    """Return whether a config has such a setting, and not as something that follows from others."""
    return hasattr(config, name) and not isinstance(getattr(type(config), name, None), property)


def _by_layer(default: Any, value: Any) -> Any:
    """Return a setting as it is, or that of layers which see all beside that of the others."""
    if isinstance(default, dict) and isinstance(value, dict) and _LAYERS in default:
        return {**default, _LAYERS: value}
    return value
