"""The sizes of a llama and how it rotates: as a config.json says them, and as a GGUF does.

It does not know tensors, but for the one in which GGUF keeps what Llama 3 does to rotation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import gguf
import numpy as np

from shoritui.errors import UserError
from shoritui.finetune.gguf.names import is_key, is_query
from shoritui.finetune.gguf.reading import Floats, GgufFile, printable

ARCHITECTURE: Final = "llama"
ROPE_FACTORS: Final = "rope_freqs.weight"
_USUAL_CONTEXT: Final = 2048
"""What transformers takes where a config does not say."""
_KNOWN_CLASSES: Final = ("LlamaForCausalLM", "MistralForCausalLM")
_LLAMA3: Final = {
    "rope_type": "llama3",
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
"""As in every Llama since 3.1, but for the factor."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What must be known of a llama beside its tensors and its vocabulary."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    hidden: int
    context: int
    epsilon: float
    rope: dict[str, Any]
    """As transformers' `rope_parameters`: rope_theta, rope_type and what that type needs."""

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The sizes of a tensor by the name that Hugging Face gives it."""
        keys, queries = self.kv_heads * self.head_width, self.heads * self.head_width
        return {
            "embed_tokens": (self.vocabulary, self.width),
            "lm_head": (self.vocabulary, self.width),
            "q_proj": (queries, self.width),
            "k_proj": (keys, self.width),
            "v_proj": (keys, self.width),
            "o_proj": (self.width, queries),
            "gate_proj": (self.hidden, self.width),
            "up_proj": (self.hidden, self.width),
            "down_proj": (self.width, self.hidden),
        }.get(name.split(".")[-2], (self.width,))

    def heads_of(self, name: str) -> int:
        """By which number of heads the rows of a tensor must be reordered; 0 if they need not."""
        return self.heads if is_query(name) else self.kv_heads if is_key(name) else 0


def sizes_of_gguf(file: GgufFile) -> Sizes:
    """The sizes that a GGUF states; `UserError` if it is not a plain llama."""
    architecture = file.text("general.architecture")
    if architecture != ARCHITECTURE or file.text("general.type", "model") != "model":
        raise UserError(
            f"{file.path} is no llama model but {printable(architecture)!r} of the type "
            f"{printable(file.text('general.type', 'model'))!r}: take a GGUF of a Llama or Mistral "
            "model, or the folder of the model itself."
        )
    if file.whole("llama.expert_count", 0):
        raise UserError(f"{file.path} is a mixture of experts: take its folder instead.")
    width, heads = file.whole("llama.embedding_length"), file.whole("llama.attention.head_count")
    head_width = file.whole("llama.attention.key_length", width // max(heads, 1))
    for key in ("llama.attention.value_length", "llama.rope.dimension_count"):
        if file.whole(key, head_width) != head_width:
            raise UserError(
                f"{file.path}: {key} is not {head_width}, the width of a head, as here it must be."
            )
    if "token_embd.weight" not in file.tensors:
        raise UserError(f"{file.path} holds no token_embd.weight: it is no whole model.")
    return Sizes(
        vocabulary=file.shape("token_embd.weight")[0],
        width=width,
        layers=file.whole("llama.block_count"),
        heads=heads,
        kv_heads=file.whole("llama.attention.head_count_kv", heads),
        head_width=head_width,
        hidden=file.whole("llama.feed_forward_length"),
        context=file.whole("llama.context_length"),
        epsilon=file.number("llama.attention.layer_norm_rms_epsilon"),
        rope=_rope_of_gguf(file, head_width),
    )


def config_of(sizes: Sizes, *, tied: bool) -> dict[str, Any]:
    """The config.json of a LlamaForCausalLM, but for its tokens and its number format."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": sizes.vocabulary,
        "hidden_size": sizes.width,
        "intermediate_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.head_width,
        "hidden_act": "silu",
        "max_position_embeddings": sizes.context,
        "rms_norm_eps": sizes.epsilon,
        "rope_parameters": sizes.rope,
        "tie_word_embeddings": tied,
        "attention_bias": False,
        "mlp_bias": False,
    }


def sizes_of_config(config: dict[str, Any], where: str) -> Sizes:
    """The sizes in a config.json; `UserError` if GGUF's llama cannot hold such a model.

    `where` is the file's name for that sentence.
    """
    classes = config.get("architectures") or []
    if not any(kind in _KNOWN_CLASSES for kind in classes):
        raise UserError(
            f"{where}: a GGUF is written of Llama and Mistral models only, this is "
            f"{printable(str(next(iter(classes), None)))}: export it with --as peft."
        )
    if config.get("hidden_act", "silu") != "silu":
        raise UserError(f"{where}: hidden_act must be silu for a GGUF.")
    if config.get("attention_bias") or config.get("mlp_bias"):
        raise UserError(f"{where}: a model with biases is not written to a GGUF here.")
    try:
        heads = int(config["num_attention_heads"])
        head_width = int(config.get("head_dim") or config["hidden_size"] // heads)
        return Sizes(
            vocabulary=int(config["vocab_size"]),
            width=int(config["hidden_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_width=head_width,
            hidden=int(config["intermediate_size"]),
            context=int(config.get("max_position_embeddings") or _USUAL_CONTEXT),
            epsilon=float(config["rms_norm_eps"]),
            rope=_rope_of_config(config, where),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{where}: a size is missing or wrong ({error}).") from None


def add_sizes(writer: gguf.GGUFWriter, sizes: Sizes) -> None:
    """State the sizes in a GGUF."""
    writer.add_context_length(sizes.context)
    writer.add_embedding_length(sizes.width)
    writer.add_block_count(sizes.layers)
    writer.add_feed_forward_length(sizes.hidden)
    writer.add_head_count(sizes.heads)
    writer.add_head_count_kv(sizes.kv_heads)
    writer.add_key_length(sizes.head_width)
    writer.add_value_length(sizes.head_width)
    writer.add_rope_dimension_count(sizes.head_width)
    writer.add_rope_freq_base(float(sizes.rope["rope_theta"]))
    if sizes.rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(sizes.rope["factor"]))
    writer.add_layer_norm_rms_eps(sizes.epsilon)
    writer.add_vocab_size(sizes.vocabulary)


def rope_factors(sizes: Sizes) -> Floats | None:
    """By what Llama 3 divides each frequency of rotation; None if nothing does."""
    if sizes.rope["rope_type"] != "llama3":
        return None
    return _llama3_factors(sizes.rope, sizes.head_width)


def _llama3_factors(rope: dict[str, Any], head_width: int) -> Floats:
    factor, context = float(rope["factor"]), rope["original_max_position_embeddings"]
    low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    exponents = np.arange(0, head_width, 2, dtype=np.float64) / head_width
    turns = context / (2 * math.pi * rope["rope_theta"] ** exponents)
    # `turns`: how often each frequency turns within the context of the first training.
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    factors: Floats = (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)
    return factors


def _rope_of_gguf(file: GgufFile, head_width: int) -> dict[str, Any]:
    rope: dict[str, Any] = {
        "rope_theta": file.number("llama.rope.freq_base", 10_000.0),
        "rope_type": "default",
    }
    kind = file.text("llama.rope.scaling.type", "none")
    if kind == "linear":
        rope |= {"rope_type": "linear", "factor": file.number("llama.rope.scaling.factor")}
    elif kind != "none":
        raise UserError(
            f"{file.path} scales rotation by {printable(kind)!r}, which is not read here: take the "
            "model's folder instead."
        )
    if ROPE_FACTORS not in file.tensors:
        return rope
    stored = np.concatenate(list(file.rows(ROPE_FACTORS)))
    rope |= _LLAMA3 | {"factor": float(stored.max())}
    expected = _llama3_factors(rope, head_width)
    if kind != "none" or stored.shape != expected.shape or not np.allclose(stored, expected, 1e-4):
        raise UserError(
            f"{file.path} scales rotation in a way of its own: take the model's folder instead."
        )
    return rope


def _rope_of_config(config: dict[str, Any], where: str) -> dict[str, Any]:
    """From `rope_parameters`, or as it was before transformers 5."""
    rope = dict(config.get("rope_scaling") or {}) | dict(config.get("rope_parameters") or {})
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind not in ("default", "linear", "llama3"):
        raise UserError(
            f"{where}: rotation is scaled by {printable(str(kind))!r}, which is not written to a "
            "GGUF here: export with --as peft."
        )
    if float(rope.get("partial_rotary_factor") or 1) != 1:
        raise UserError(f"{where}: a GGUF of a llama rotates whole heads: export with --as peft.")
    theta = float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0)
    wanted = {"default": (), "linear": ("factor",), "llama3": ("factor", *list(_LLAMA3)[1:])}[kind]
    return {"rope_theta": theta, "rope_type": kind} | {key: float(rope[key]) for key in wanted}
