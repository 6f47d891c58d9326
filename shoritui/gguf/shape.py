"""The shape of a llama, as config.json states it and as GGUF does, and its tensors' two names.

    model.layers.0.self_attn.q_proj.weight   (Hugging Face)
    blk.0.attn_q.weight                      (GGUF)

Hugging Face rotates the halves of a head against each other, GGUF's llama pairs of neighbours: the
rows of queries and keys are the same, in another order. Mistral is a llama; Qwen 2, Qwen 3 and
SmolLM 3 have a llama's layers with biases, with norms of queries and keys, or with layers that do
not rotate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from shoritui.bounded import misfit, read_json
from shoritui.errors import UserError
from shoritui.files import content_of
from shoritui.text import message, printable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from shoritui.gguf.read import Floats

    Rows = npt.NDArray[np.intp]

ARCHITECTURE: Final = "llama"
EMBEDDING: Final = "model.embed_tokens.weight"
NORM: Final = "model.norm.weight"
HEAD: Final = "lm_head.weight"
ROPE_FACTORS: Final = "rope_freqs.weight"
"""The tensor in which GGUF keeps what Llama 3 does to rotation."""
_LAYER: Final = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_LAYERS_DIFFER: Final = ("ministral", "qwen2", "qwen3", "smollm3")
"""Architectures of which some layers may look back at all and others not."""
_YARN: Final = (
    *("attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"),
)
PROJECTIONS: Final = tuple(name.partition(".")[2] for name in _LAYER if "_proj" in name)
"""The linear layers of one decoder layer, by the names that Hugging Face gives them."""
HEAD_NORMS: Final = ("q_norm", "k_norm")
"""What Qwen 3 does to each head of queries and keys before they are rotated."""


@dataclass(frozen=True, slots=True)
class RopeScaling:
    """How rotation is slowed down for contexts beyond those of the first training."""

    kind: Literal["linear", "dynamic", "llama3", "yarn"]
    factor: float
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    """These two for llama3 only; the defaults are those of every Llama since 3.1."""
    original_context: float = 8192.0
    """For llama3 and yarn."""
    yarn: tuple[tuple[str, float], ...] = ()
    """What else a config says of yarn, such as `beta_fast`, by transformers' names."""
    query_growth: float = 0.0
    """How queries of Ministral 3 grow beyond `original_context`."""

    @property
    def settings(self) -> dict[str, Any]:
        """The same as a config.json has it in `rope_parameters`."""
        settings: dict[str, Any] = {"rope_type": self.kind, "factor": self.factor}
        if self.kind == "llama3":
            settings["low_freq_factor"] = self.low_freq_factor
            settings["high_freq_factor"] = self.high_freq_factor
        if self.kind in ("llama3", "yarn"):
            settings["original_max_position_embeddings"] = self.original_context
        return settings | dict(self.yarn)


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides how many numbers a llama has, and how they meet."""

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
    context: int = 2048
    """In tokens, as trained; the default is what transformers takes where a config does not say."""
    rope_scaling: RopeScaling | None = None
    biased: tuple[str, ...] = ()
    """Those of PROJECTIONS that have a bias."""
    has_head_norms: bool = False
    """Whether each head of queries and keys is normalised before it is rotated."""
    unrotated: tuple[int, ...] = ()
    """Layers that do not know positions."""
    unwindowed: tuple[int, ...] = ()
    """Layers whose attention looks back at all, whatever `window` says."""
    inner: str = "model"
    """The module that the layers are in, as Hugging Face has it."""

    def window_of(self, layer: int) -> int:
        """Return the most tokens that attention looks back in a layer; 0 for all."""
        return 0 if layer in self.unwindowed else self.window

    def sizes(self, projection: str) -> tuple[int, int]:
        """Return (outputs, inputs) of one of PROJECTIONS."""
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

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The sizes of every tensor by Hugging Face's name, without the head where it is tied."""
        return {name: self.tensor_shape(name) for name in gguf_names(self)}

    def tensor_shape(self, name: str) -> tuple[int, ...]:
        """Return the sizes of a tensor by Hugging Face's name, rows first."""
        if name in (EMBEDDING, HEAD):
            return (self.vocabulary, self.hidden)
        module, kind = name.split(".")[-2:]
        if module in HEAD_NORMS:
            return (self.head_size,)
        if module not in PROJECTIONS:
            return (self.hidden,)
        return self.sizes(module) if kind == "weight" else self.sizes(module)[:1]

    @staticmethod
    def stored(layer: int, projection: str) -> str:
        """Return the name of a linear layer's tensors, such as `model.layers.0.mlp.up_proj`."""
        block = "self_attn" if projection in PROJECTIONS[:4] else "mlp"
        return f"model.layers.{layer}.{block}.{projection}"

    def path(self, layer: int, projection: str) -> str:
        """Return the name of a linear layer's module."""
        return self.inner + self.stored(layer, projection).removeprefix("model")


def gguf_names(shape: Shape) -> dict[str, str]:
    """Return GGUF's name of every tensor of such a llama by Hugging Face's, in a file's order."""
    names = {EMBEDDING: "token_embd.weight"}
    for layer in range(shape.layers):
        for name, other in _LAYER.items():
            module = name.rpartition(".")[2]
            if module in HEAD_NORMS and not shape.has_head_norms:
                continue
            for kind in ("weight", "bias") if module in shape.biased else ("weight",):
                names[f"model.layers.{layer}.{name}.{kind}"] = f"blk.{layer}.{other}.{kind}"
    names[NORM] = "output_norm.weight"
    return names if shape.is_tied else names | {HEAD: "output.weight"}


def rows_for_gguf(heads: int, rows: int) -> Rows:
    """Return for each row of a GGUF's query or key matrix the row of Hugging Face's that it is."""
    import numpy as np

    return np.arange(rows).reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1)


def read_config(folder: Path) -> dict[str, Any]:
    """Return what a folder's config.json says; `UserError` if it cannot be read."""
    path = folder / "config.json"
    try:
        config = read_json(content_of(path))
    except (OSError, ValueError) as error:
        raise UserError(f"{printable(path)} cannot be read as a model's config: {error}.") from None
    if not isinstance(config, dict):
        raise UserError(f"{printable(path)} is not a model's config: an object was expected.")
    return config


_Size = Annotated[int, Meta(ge=1, le=2**31 - 1)]
_MaybeSize = Annotated[int, Meta(ge=0, le=2**31 - 1)] | None


class _Sizes(msgspec.Struct, frozen=True):
    """What a config.json states in single numbers."""

    num_attention_heads: _Size
    hidden_size: _Size
    intermediate_size: _Size
    num_hidden_layers: Annotated[int, Meta(ge=1, le=10_000)]
    vocab_size: _Size
    num_key_value_heads: _MaybeSize = None
    head_dim: _MaybeSize = None
    sliding_window: _MaybeSize = None
    max_position_embeddings: _MaybeSize = None
    rms_norm_eps: Annotated[float, Meta(ge=0, le=1)] = 1e-6


def shape_of_config(config: Mapping[str, Any], where: str) -> Shape:
    """Return the shape that a config.json states; `UserError` names `where` and what is wrong.

    How rotation is scaled in ways that are not known here is left out.
    """
    try:
        sizes = msgspec.convert(config, _Sizes)
        heads = sizes.num_attention_heads
        kind = str(config.get("model_type", ARCHITECTURE))
        return Shape(
            hidden=sizes.hidden_size,
            intermediate=sizes.intermediate_size,
            layers=sizes.num_hidden_layers,
            heads=heads,
            kv_heads=sizes.num_key_value_heads or heads,
            head_size=sizes.head_dim or sizes.hidden_size // heads,
            vocabulary=sizes.vocab_size,
            norm_epsilon=sizes.rms_norm_eps,
            rope_theta=float(rope_of_config(config).get("rope_theta") or 10000.0),
            window=(kind != ARCHITECTURE and sizes.sliding_window) or 0,
            is_tied=bool(config.get("tie_word_embeddings", False)),
            context=sizes.max_position_embeddings or 2048,
            rope_scaling=_scaling_of_config(config, kind),
            biased=_biased(config, kind),
            has_head_norms=kind == "qwen3",
            unrotated=tuple(i for i, rotates in enumerate(_rotating(config, kind)) if not rotates),
            unwindowed=_unwindowed(config, kind),
        )
    except msgspec.ValidationError as error:
        raise UserError(f"{where}: a size is missing or wrong ({misfit(error)}).") from None
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError) as error:
        raise UserError(f"{where}: a size is missing or wrong ({message(error)}).") from None


def rope_of_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rotary settings, from where transformers 5 writes them or from where 4 did."""
    old = dict(config.get("rope_scaling") or {})
    old["rope_type"] = old.get("rope_type") or old.get("type") or "default"
    if "rope_theta" in config:
        old["rope_theta"] = config["rope_theta"]
    return old | dict(config.get("rope_parameters") or {})


def _scaling_of_config(config: Mapping[str, Any], model: str) -> RopeScaling | None:
    rope = rope_of_config(config)
    kind = rope["rope_type"]
    if kind in ("linear", "dynamic"):
        return RopeScaling(kind, float(rope["factor"]))
    if kind not in ("llama3", "yarn"):
        return None
    original = float(rope["original_max_position_embeddings"])
    if kind == "yarn":
        factor = float(rope.get("factor") or config["max_position_embeddings"] / original)
        more = tuple((name, float(rope[name])) for name in _YARN if rope.get(name) is not None)
        growth = float(rope["llama_4_scaling_beta"]) if model == "ministral3" else 0.0
        return RopeScaling(kind, factor, original_context=original, yarn=more, query_growth=growth)
    return RopeScaling(
        *("llama3", float(rope["factor"])),
        *(float(rope["low_freq_factor"]), float(rope["high_freq_factor"]), original),
    )


def _biased(config: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    if kind == "qwen2":
        return PROJECTIONS[:3]
    in_attention = kind in (ARCHITECTURE, "qwen3", "smollm3") and config.get("attention_bias")
    in_mlp = kind in (ARCHITECTURE, "smollm3") and config.get("mlp_bias")
    return (PROJECTIONS[:4] if in_attention else ()) + (PROJECTIONS[4:] if in_mlp else ())


def _rotating(config: Mapping[str, Any], kind: str) -> Sequence[int]:
    """Return which layers rotate, as a config says it that transformers has completed."""
    found: Sequence[int] | None = config.get("no_rope_layers") if kind == "smollm3" else None
    return (found or ())[: int(config["num_hidden_layers"])]


def _unwindowed(config: Mapping[str, Any], kind: str) -> tuple[int, ...]:
    types = config.get("layer_types") if kind in _LAYERS_DIFFER else None
    return tuple(i for i, each in enumerate(types or ()) if each != "sliding_attention")


def config_of(shape: Shape) -> dict[str, Any]:
    """Return the config.json of a LlamaForCausalLM, but for its tokens and its number format."""
    rope: dict[str, Any] = {"rope_theta": shape.rope_theta, "rope_type": "default"}
    if scaling := shape.rope_scaling:
        rope |= scaling.settings
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "hidden_act": "silu",
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_epsilon,
        "rope_parameters": rope,
        "tie_word_embeddings": shape.is_tied,
        "attention_bias": False,
        "mlp_bias": False,
    }


def llama3_factors(scaling: RopeScaling, theta: float, head_size: int) -> Floats:
    """Return by what each frequency of heads of this size is divided."""
    import numpy as np

    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    exponents = np.arange(0, head_size, 2, dtype=np.float64) / head_size
    turns = scaling.original_context / (2 * math.pi * theta**exponents)
    # `turns`: how often each frequency turns within the context of the first training.
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    factors: Floats = (1 / ((1 - smooth) / scaling.factor + smooth)).astype(np.float32)
    return factors
