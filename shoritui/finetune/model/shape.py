"""Which models the fast network computes, and a few shapes by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from shoritui.errors import UserError
from shoritui.finetune.config.model import Config
from shoritui.gguf.checkpoint import Checkpoint
from shoritui.gguf.shape import ARCHITECTURE, Shape, read_config, rope_of_config, shape_of_config
from shoritui.text import printable

ARCHITECTURES = ("llama", "mistral", "ministral", "ministral3", "qwen2", "qwen3", "smollm3")
"""What the fast network computes."""
_SEEING = ("internvl", "llava", "mistral3")
"""Bases that also see pictures; their part that reads may be one of these ARCHITECTURES."""
_ROTATIONS = ("default", "linear", "dynamic", "llama3", "yarn")

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


def fast_shape(folder: Path, config: Config) -> Shape | str:
    """Return the shape of a folder's base, or why the fast network cannot compute it.

    Raises:
        UserError: Its config.json cannot be read, or is wrong.
    """
    where = str(folder / "config.json")
    facts = completed(read_config(folder), where)
    inner = "model"
    if facts.get("model_type") in _SEEING:
        ties = {"tie_word_embeddings": facts.get("tie_word_embeddings", False)}
        facts, inner = {**facts["text_config"], **ties}, "model.language_model"
    longest = max(tier.train.sequence_len for tier in config.tiers)
    if reason := misfit(facts, longest):
        return reason
    shape = replace(shape_of_config(facts, where), inner=inner)
    # As transformers has it: a head that is there is the head, also where the config ties it.
    own_head = shape.is_tied and Checkpoint(folder, reads_only=inner != "model").has_own_head
    return replace(shape, is_tied=False) if own_head else shape


def completed(config: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return a config.json of what is listed here with what transformers takes where it is mute.

    `UserError` names `where` if transformers does not take it; other configs are as they were.
    """
    if config.get("model_type") not in ARCHITECTURES + _SEEING:
        return config
    model = config["model_type"]
    try:
        if model == ARCHITECTURE and rope_of_config(config)["rope_type"] == "default":
            return config  # `shape_of_config` takes the same, at once
        transformers: Any = import_module("transformers")
        kind = transformers.CONFIG_MAPPING[model]
        facts: dict[str, Any] = kind.from_dict(dict(config)).to_dict()
    except Exception as error:  # what transformers raises has no common name
        reason = printable(str(error).strip().replace("\n", " "))[:200]
        raise UserError(f"{where}: a size is missing or wrong ({reason}).") from None
    return facts


def misfit(config: Mapping[str, Any], longest: int) -> str:
    """Return why the fast network cannot compute the model of a config.json; empty if it can.

    The config is one that was `completed`; `longest` is of the documents, in tokens.
    """
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        return f"the fast network computes {', '.join(ARCHITECTURES)}, not {printable(kind)}"
    if config.get("hidden_act", "silu") != "silu":
        return f"the fast network knows SiLU, not {printable(config['hidden_act'])}"
    rope = rope_of_config(config)
    if rope["rope_type"] not in _ROTATIONS:
        return f"the fast network does not stretch positions by {rope['rope_type']!r}"
    if rope.get("partial_rotary_factor") not in (None, 1):
        return "the fast network rotates whole heads"
    context = config.get("max_position_embeddings") or 0
    if rope["rope_type"] == "dynamic" and longest > context:
        return (
            "the fast network does not know how 'dynamic' stretches documents of more than "
            f"{context} tokens: with sequence_len = {context} it would do"
        )
    return ""
