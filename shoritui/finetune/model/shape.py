"""The sizes of a network, read from a model's config.json or named.

It does not know weights or torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoritui.errors import UserError

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of one decoder layer, by the names that Hugging Face gives them."""

ARCHITECTURES = ("llama", "mistral")
"""What the fast network computes."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides how many numbers a network has, and how they meet."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    norm_epsilon: float = 1e-5
    rope_theta: float = 10000.0
    window: int = 0
    """The most tokens that attention looks back; 0 for all."""
    is_tied: bool = False
    """Whether the output head is the embedding."""

    def sizes(self, projection: str) -> tuple[int, int]:
        """(outputs, inputs) of one of PROJECTIONS."""
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        return {
            "q_proj": (queries, self.hidden),
            "k_proj": (keys, self.hidden),
            "v_proj": (keys, self.hidden),
            "o_proj": (self.hidden, queries),
            "gate_proj": (self.intermediate, self.hidden),
            "up_proj": (self.intermediate, self.hidden),
            "down_proj": (self.hidden, self.intermediate),
        }[projection]

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """(outputs, inputs) of every linear layer but the head, by module name."""
        return {
            self.path(layer, projection): self.sizes(projection)
            for layer in range(self.layers)
            for projection in PROJECTIONS
        }

    @staticmethod
    def path(layer: int, projection: str) -> str:
        """The module's name in a Hugging Face checkpoint, such as `model.layers.0.mlp.up_proj`."""
        block = "self_attn" if projection in PROJECTIONS[:4] else "mlp"
        return f"model.layers.{layer}.{block}.{projection}"


_NAMED = {
    "mistral-7b": Shape(4096, 14336, 32, 32, 8, 128, 32000, 1e-5, 1e6),
    "llama-8b": Shape(4096, 14336, 32, 32, 8, 128, 128256, 1e-5, 5e5),
    "small": Shape(1024, 3584, 4, 16, 4, 64, 32000, 1e-5, 1e6),
    "tiny": Shape(64, 160, 2, 4, 2, 16, 320, 1e-5, 1e4),
}


def shape_named(name: str) -> Shape:
    """One of the shapes that are known by name."""
    if name not in _NAMED:
        raise UserError(f"No shape is called {name!r}; there are {', '.join(_NAMED)}.")
    return _NAMED[name]


def shape_of(folder: Path) -> Shape:
    """The shape of a Hugging Face model's folder; UserError where the fast network does not fit."""
    config = read_config(folder)
    if reason := misfit(config):
        raise UserError(f"{folder / 'config.json'}: {reason}.")
    return shape_in(config)


def read_config(folder: Path) -> dict[str, Any]:
    """What a model's config.json says."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a model's config: {error}.") from None
    if not isinstance(config, dict):
        raise UserError(f"{path} is not a model's config: an object was expected.")
    return config


def misfit(config: Mapping[str, Any]) -> str:
    """Why the fast network cannot compute this model; empty when it can."""
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        return f"the fast network computes {' and '.join(ARCHITECTURES)}, not {kind}"
    if config.get("attention_bias") or config.get("mlp_bias"):
        return "the fast network has no biases"
    if config.get("hidden_act", "silu") != "silu":
        return f"the fast network knows SiLU, not {config['hidden_act']}"
    if (rope := _rope(config).get("rope_type", "default")) != "default":
        return f"the fast network does not stretch positions by {rope!r}"
    return ""


def shape_in(config: Mapping[str, Any]) -> Shape:
    """The shape a config.json describes."""
    heads = int(config["num_attention_heads"])
    return Shape(
        hidden=int(config["hidden_size"]),
        intermediate=int(config["intermediate_size"]),
        layers=int(config["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_size=int(config.get("head_dim") or int(config["hidden_size"]) // heads),
        vocabulary=int(config["vocab_size"]),
        norm_epsilon=float(config.get("rms_norm_eps", 1e-6)),
        rope_theta=float(_rope(config).get("rope_theta", 10000.0)),
        window=int(config.get("sliding_window") or 0),
        is_tied=bool(config.get("tie_word_embeddings", False)),
    )


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """The rotary settings, from where transformers 5 writes them or from where 4 did."""
    old = dict(config.get("rope_scaling") or {})
    old["rope_type"] = old.get("rope_type", old.get("type", "default"))
    if "rope_theta" in config:
        old["rope_theta"] = config["rope_theta"]
    return old | dict(config.get("rope_parameters") or {})
