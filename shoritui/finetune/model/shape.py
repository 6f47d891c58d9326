"""Which models the fast network computes, and a few shapes by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shoritui.errors import UserError
from shoritui.gguf.shape import Shape, rope_of_config

ARCHITECTURES = ("llama", "mistral")
"""What the fast network computes."""

_NAMED = {
    "mistral-7b": Shape(4096, 14336, 32, 32, 8, 128, 32000, 1e-5, 1e6),
    "llama-8b": Shape(4096, 14336, 32, 32, 8, 128, 128256, 1e-5, 5e5),
    "smollm2-135m": Shape(576, 1536, 30, 9, 3, 64, 49152, 1e-5, 1e5, is_tied=True),
    "small": Shape(1024, 3584, 4, 16, 4, 64, 32000, 1e-5, 1e6),
    "tiny": Shape(64, 160, 2, 4, 2, 16, 320, 1e-5, 1e4),
}


def shape_named(name: str) -> Shape:
    """Return one of the shapes that are known by name."""
    if name not in _NAMED:
        raise UserError(f"No shape is called {name!r}; there are {', '.join(_NAMED)}.")
    return _NAMED[name]


def misfit(config: Mapping[str, Any]) -> str:
    """Return why the fast network cannot compute the model of a config.json; empty if it can."""
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        return f"the fast network computes {' and '.join(ARCHITECTURES)}, not {kind}"
    if config.get("attention_bias") or config.get("mlp_bias"):
        return "the fast network has no biases"
    if config.get("hidden_act", "silu") != "silu":
        return f"the fast network knows SiLU, not {config['hidden_act']}"
    if (rope := rope_of_config(config)["rope_type"]) != "default":
        return f"the fast network does not stretch positions by {rope!r}"
    return ""
