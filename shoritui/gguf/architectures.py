"""What a GGUF says of each architecture: its name there, and its hyperparameters.

    config.json ─ model_type ─▶ Architecture ─▶ general.architecture, block_count, rope.freq_base

Names of tensors and orders of rows are in `lora/layout.py`. Each row of the table is proved by
logits, in `tests/gguf/test_architectures.py`: what is not in it is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from shoritui.errors import UserError
from shoritui.text import printable

if TYPE_CHECKING:
    from shoritui.gguf.read import Floats
    from shoritui.gguf.write import Value

INSTEAD: Final = "export with --as peft, and put that on a GGUF of this base in a chat"
"""What can be done where no GGUF is written."""
Config: TypeAlias = Mapping[str, Any]
Keys: TypeAlias = dict[str, "Value"]


def _nothing(_config: Config) -> Keys:
    return {}


@dataclass(frozen=True, slots=True)
class Architecture:
    """How the models of one `model_type` stand in a GGUF."""

    name: str
    """GGUF's own for it."""
    adds_one: str | tuple[str, ...] = ""
    """The ends of names of norms that multiply with 1 + what the folder holds."""
    keys: Callable[[Config], Keys] = _nothing
    """Hyperparameters beside those that all have."""
    must: Callable[[Config], Mapping[str, object]] = _nothing
    """What llama.cpp takes for granted of a config, where it is said at all."""
    activation: tuple[str, ...] = ("silu", "swish")
    sliding: int = 0
    """Of so many layers one sees everything, the others a window; 0 if all see the same."""
    needs_head: bool = False
    """Whether a head that is the embedding is written twice."""
    transposes: bool = False
    """Whether the folder has its matrices with a column for each output."""

    is_read_back: bool = True
    """Whether its GGUFs can be made folders again."""

    @property
    def difference(self) -> float:
        """The most by which logits in llama.cpp differ from PyTorch's in F32, relative to them.

        GELU is taken from a table in half precision, and linear attention sums token by token.
        """
        if self.activation == _TANH:
            return 3e-4
        return 1e-4 if self.keys is _linear else 1e-5


def architecture_of(config: Config, where: str) -> Architecture:
    """Return how the model of a config.json stands in a GGUF.

    `UserError` names `where` and what it is that no GGUF can hold, or that is not known here.
    """
    kind = config.get("model_type")
    found = KINDS.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise UserError(
            f"{where}: no GGUF is written here of a model of the kind {printable(kind)!r}, only of "
            f"{', '.join(sorted(KINDS))}: {INSTEAD}."
        )
    with _told(where):
        reason = _misfit(config, found)
    if reason:
        raise UserError(f"{where}: {reason}, so no GGUF is written of it: {INSTEAD}.")
    return found


def _misfit(config: Config, architecture: Architecture) -> str:
    """Return what llama.cpp would compute differently; empty for nothing."""
    layers = _needed(config, *_LAYERS)
    if not 0 < layers <= _MOST["block_count"]:
        raise ValueError(f"{layers} layers")
    for key, value in architecture.must(config).items():
        said = config.get(key, value)
        if said != value:
            return f"{key} is {printable(said)}, and llama.cpp computes it as {printable(value)}"
    said = _first(config, "hidden_activation", "hidden_act", "activation_function", "activation")
    if said is not None and said not in architecture.activation:
        return f"its activation is {printable(said)}, llama.cpp's {architecture.activation[0]}"
    windows = [kind == "sliding_attention" for kind in config.get("layer_types") or ()]
    step = architecture.sliding
    if any(windows) and windows != [step and (at + 1) % step > 0 for at in range(len(windows))]:
        return "its layers see windows in an order that llama.cpp does not have"
    return _rope_misfit(rope_of(config))


def _rope_misfit(rope: Config) -> str:
    if (kind := rope["rope_type"]) not in ("default", "linear", "llama3", "yarn", "longrope"):
        return f"rotation is scaled by {printable(kind)!r}"
    return ""


def hyperparameters(config: Config, architecture: Architecture, where: str) -> Keys:
    """Return what a GGUF states of such a model; `UserError` if a number is missing or wrong."""
    with _told(where):
        keys = _general(config) | _rope_keys(config) | architecture.keys(config)
        if architecture.sliding:
            keys["attention.sliding_window"] = int(config["sliding_window"])
        for key, value in keys.items():
            most = _MOST.get(key, _MOST_OF_ALL)
            if isinstance(value, int | float) and not 0 <= value <= most:
                raise ValueError(f"{key} is {value}")
        rope_tensors(config)
    named: Keys = {f"{architecture.name}.{key}": value for key, value in keys.items()}
    return {"general.architecture": architecture.name, **named}


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Turn what is wrong with a config into a sentence."""
    try:
        yield
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        said = printable(str(error))[:_WORDS_SHOWN]
        raise UserError(f"{where}: a size is missing or wrong ({said}).") from None


_WORDS_SHOWN: Final = 200
_MOST_OF_ALL: Final = 2**31 - 1
_MOST: Final = {"block_count": 2**12, "rope.dimension_count": 2**16, "attention.head_count": 2**16}
"""Far more than any model has: what claims more is damaged, or means harm."""


def _first(config: Config, *names: str) -> Any:
    return next((config[name] for name in names if config.get(name) is not None), None)


def _needed(config: Config, *names: str) -> int:
    found = _first(config, *names)
    if found is None:
        raise KeyError(names[0])
    return int(found)


_LAYERS: Final = ("num_hidden_layers", "n_layer", "n_layers")
EPSILONS: Final = {
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps",),
    "attention.layer_norm_epsilon": (
        *("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"),
    ),
}
EXPERTS: Final = {
    "expert_count": ("num_local_experts", "num_experts"),
    "expert_used_count": ("num_experts_per_tok",),
    "expert_feed_forward_length": ("moe_intermediate_size",),
    "expert_shared_feed_forward_length": ("shared_expert_intermediate_size",),
}


def _general(config: Config) -> Keys:
    hidden = _needed(config, "hidden_size", "n_embd", "d_model")
    heads = _needed(config, "num_attention_heads", "n_head", "n_heads")
    head_size = int(config.get("head_dim") or hidden // heads)
    keys: Keys = {
        "context_length": _context(config),
        "embedding_length": hidden,
        "block_count": _needed(config, *_LAYERS),
        "feed_forward_length": int(
            _first(config, "ffn_hidden_size", "intermediate_size", "n_inner") or 4 * hidden
        ),
        "attention.head_count": heads,
        "attention.head_count_kv": int(config.get("num_key_value_heads") or heads),
        "attention.key_length": head_size,
        "attention.value_length": head_size,
        "vocab_size": _needed(config, "vocab_size"),
    }
    for key, names in EPSILONS.items():
        if (value := _first(config, *names)) is not None:
            keys[key] = float(value)
    for key, names in EXPERTS.items():
        if (value := _first(config, *names)) is not None:
            keys[key] = int(value)
    return keys


def _context(config: Config) -> int:
    return int(_first(config, "max_position_embeddings", "n_positions", "n_ctx") or 2048)


def rope_of(config: Config) -> dict[str, Any]:
    """Return the rotary settings, from wherever a config has them; of layers that see all."""
    old = dict(config.get("rope_scaling") or {})
    for key in ("rope_theta", "partial_rotary_factor", "rotary_pct"):
        if config.get(key) is not None:
            old[key] = config[key]
    new = dict(config.get("rope_parameters") or {})
    rope = old | dict(new.get("full_attention") or new)
    rope["rope_type"] = rope.get("rope_type") or rope.get("type") or "default"
    return rope


def _rope_keys(config: Config) -> Keys:
    rope, general = rope_of(config), _general(config)
    head_size = general["attention.key_length"]
    assert isinstance(head_size, int)
    share = _first(rope, "partial_rotary_factor", "rotary_pct")
    keys: Keys = {
        "rope.dimension_count": int(head_size * float(1 if share is None else share)),
        "rope.freq_base": float(rope.get("rope_theta") or 10_000),
    }
    kind = rope["rope_type"]
    if kind in ("linear", "yarn"):
        keys |= {"rope.scaling.type": kind, "rope.scaling.factor": float(rope["factor"])}
    if kind == "yarn":
        keys["rope.scaling.original_context_length"] = _first_context(config, rope)
        if (strength := _yarn_strength(rope)) is not None:
            keys["rope.scaling.attn_factor"] = strength / _mscale(float(rope["factor"]))
        for ours, theirs in (("beta_fast", "yarn_beta_fast"), ("beta_slow", "yarn_beta_slow")):
            if rope.get(ours) is not None:
                keys[f"rope.scaling.{theirs}"] = float(rope[ours])
    if kind == "longrope":
        first = _first_context(config, rope)
        keys["rope.scaling.original_context_length"] = first
        keys["rope.scaling.attn_factor"] = _long_factor(config, rope, first)
    return keys


def _yarn_strength(rope: Config) -> float | None:
    """Return by what yarn multiplies queries and keys; None where it is as its factor says."""
    if rope.get("attention_factor") is not None:
        return float(rope["attention_factor"])
    if rope.get("mscale") and rope.get("mscale_all_dim"):
        factor = float(rope["factor"])
        above, below = float(rope["mscale"]), float(rope["mscale_all_dim"])
        return _mscale(factor, above) / _mscale(factor, below)
    return None


def _mscale(factor: float, weight: float = 1.0) -> float:
    return 0.1 * weight * math.log(factor) + 1 if factor > 1 else 1.0


def _first_context(config: Config, rope: Config) -> int:
    found = _first({**config, **rope}, "original_max_position_embeddings")
    return int(found or _context(config))


def _long_factor(config: Config, rope: Config, first: int) -> float:
    if rope.get("attention_factor") is not None:
        return float(rope["attention_factor"])
    factor = float(rope.get("factor") or _context(config) / first)
    return math.sqrt(1 + math.log(factor) / math.log(first)) if factor > 1 else 1.0


def rope_tensors(config: Config) -> dict[str, Floats]:
    """Return by what each frequency of rotation is divided, by GGUF's names of such tensors."""
    import numpy as np

    rope = rope_of(config)
    if rope["rope_type"] == "longrope":
        return {
            f"rope_factors_{name}.weight": np.asarray(rope[f"{name}_factor"], np.float32)
            for name in ("long", "short")
        }
    if rope["rope_type"] != "llama3":
        return {}
    from shoritui.gguf.shape import ROPE_FACTORS, RopeScaling, llama3_factors

    scaling = RopeScaling(
        "llama3",
        float(rope["factor"]),
        float(rope["low_freq_factor"]),
        float(rope["high_freq_factor"]),
        float(rope["original_max_position_embeddings"]),
    )
    keys = _rope_keys(config)
    theta, turned = keys["rope.freq_base"], keys["rope.dimension_count"]
    assert isinstance(theta, float) and isinstance(turned, int)
    return {ROPE_FACTORS: llama3_factors(scaling, theta, turned)}


MULTIPLIERS: Final = {
    "attention.scale": "attention_multiplier",
    "embedding_scale": "embedding_multiplier",
    "residual_scale": "residual_multiplier",
    "logit_scale": "logits_scaling",
}


def _multipliers(config: Config) -> Keys:
    return {key: float(config[name]) for key, name in MULTIPLIERS.items()}


def _caps(config: Config) -> Keys:
    names = ("attn_logit_softcapping", "final_logit_softcapping")
    return {name: float(config[name]) for name in names if config.get(name) is not None}


def _always(**values: object) -> Callable[[Config], Mapping[str, object]]:
    return lambda _config: values


def _gemma2(config: Config) -> Mapping[str, object]:
    return {"query_pre_attn_scalar": _gemmas_scale(config, of_27b=46)}


def _gemma3(config: Config) -> Mapping[str, object]:
    local = {"rope_type": "default", "rope_theta": 10_000.0}
    rope = config.get("rope_parameters") or {}
    return {
        "rope_parameters": {**rope, "sliding_attention": local} if rope else rope,
        "rope_local_base_freq": 10_000.0,
        "query_pre_attn_scalar": _gemmas_scale(config, of_27b=62),
        "attn_logit_softcapping": None,
        "use_bidirectional_attention": False,
    }


def _gemmas_scale(config: Config, of_27b: int) -> float:
    """Return it as llama.cpp knows it; the largest is told by the number of its layers."""
    if config["num_hidden_layers"] == of_27b:
        return float(config["hidden_size"]) / float(config["num_attention_heads"])
    return float(config["head_dim"])


def _without_rope(config: Config) -> Mapping[str, object]:
    return {"no_rope_layers": [int((at + 1) % 4 > 0) for at in range(config["num_hidden_layers"])]}


def _falcon(config: Config) -> Keys:
    heads = int(config["num_attention_heads"])
    if config.get("new_decoder_architecture"):
        heads = int(config.get("num_kv_heads") or heads)
    elif config.get("multi_query", True):
        heads = 1
    return {"attention.head_count_kv": heads, "tensor_data_layout": "jploski"}


def _parallel(config: Config) -> Keys:
    return {"use_parallel_residual": bool(config.get("use_parallel_residual"))}


def _temperature(config: Config) -> Keys:
    beta = rope_of(config).get("llama_4_scaling_beta")
    return {} if beta is None else {"attention.temperature_scale": float(beta)}


def _linear(config: Config) -> Keys:
    """Return how attention without a memory of each token is shaped."""
    heads = int(config["linear_num_value_heads"])
    return {
        "ssm.conv_kernel": int(config["linear_conv_kernel_dim"]),
        "ssm.state_size": int(config["linear_key_head_dim"]),
        "ssm.group_count": int(config["linear_num_key_heads"]),
        "ssm.time_step_rank": heads,
        "ssm.inner_size": int(config["linear_value_head_dim"]) * heads,
        "full_attention_interval": _INTERVAL,
        # of pictures' positions; those of a text are the same in all three directions
        "rope.dimension_sections": [11, 11, 10, 0],
    }


def _linear_but_each_fourth(config: Config) -> Mapping[str, object]:
    kinds = ("full_attention", *["linear_attention"] * (_INTERVAL - 1))
    layers = range(1, config["num_hidden_layers"] + 1)
    return {
        "layer_types": [kinds[min(at % _INTERVAL, 1)] for at in layers],
        "linear_value_head_dim": config["linear_key_head_dim"],
    }


_INTERVAL: Final = 4


def _neox(config: Config) -> Keys:
    return _parallel(config) | {"attention.head_count_kv": int(config["num_attention_heads"])}


def _logit_scale(config: Config) -> Keys:
    return {"logit_scale": float(config["logit_scale"])}


def _olmo(config: Config) -> Keys:
    keys: Keys = {"attention.layer_norm_epsilon": 1e-5}
    if clip := config.get("clip_qkv"):
        keys["attention.clamp_kqv"] = float(clip)
    return keys


_TANH: Final = ("gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu")
_SQUARED: Final = ("relu2",)
_LLAMA: Final = Architecture("llama")
KINDS: Final[Mapping[str, Architecture]] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "ministral3": Architecture("mistral3", keys=_temperature),
    "mixtral": _LLAMA,
    "arcee": Architecture("arcee", activation=_SQUARED),
    "bloom": Architecture("bloom", activation=_TANH),
    "cohere": Architecture("command-r", keys=_logit_scale, must=_always(use_qk_norm=False)),
    "cohere2": Architecture("cohere2", keys=_logit_scale, sliding=4),
    "ernie4_5": Architecture("ernie4_5"),
    "exaone4": Architecture("exaone4"),
    "falcon": Architecture(
        "falcon",
        keys=_falcon,
        must=_always(alibi=False, parallel_attn=True),
        activation=_TANH,
    ),
    "gemma": Architecture("gemma", adds_one="norm.weight", activation=_TANH),
    "gemma2": Architecture(
        "gemma2",
        adds_one="norm.weight",
        keys=_caps,
        must=_gemma2,
        activation=_TANH,
        sliding=2,
    ),
    "gemma3_text": Architecture(
        "gemma3",
        adds_one="norm.weight",
        keys=_caps,
        must=_gemma3,
        activation=_TANH,
        sliding=6,
    ),
    "glm4": Architecture("glm4"),
    "gpt2": Architecture("gpt2", activation=_TANH, transposes=True),
    "gpt_neox": Architecture("gptneox", keys=_neox, activation=_TANH, needs_head=True),
    "granite": Architecture("granite", keys=_multipliers),
    "hunyuan_v1_dense": Architecture("hunyuan-dense"),
    "nemotron": Architecture(
        "nemotron", adds_one="norm.weight", activation=_SQUARED, needs_head=True
    ),
    "olmo": Architecture("olmo", keys=_olmo),
    "olmo2": Architecture("olmo2"),
    "olmo3": Architecture("olmo2", sliding=4),
    "olmoe": Architecture("olmoe", must=_always(norm_topk_prob=False)),
    "phi": Architecture("phi2", activation=_TANH, needs_head=True),
    "phi3": Architecture("phi3"),
    "qwen2": Architecture("qwen2"),
    "qwen2_moe": Architecture(
        "qwen2moe", must=_always(norm_topk_prob=False, decoder_sparse_step=1, mlp_only_layers=[])
    ),
    "qwen3": Architecture("qwen3"),
    "qwen3_moe": Architecture(
        "qwen3moe", must=_always(norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[])
    ),
    "qwen3_5_text": Architecture(
        "qwen35",
        adds_one=("layernorm.weight", "q_norm.weight", "k_norm.weight", "model.norm.weight"),
        keys=_linear,
        must=_linear_but_each_fourth,
        is_read_back=False,
    ),
    "seed_oss": Architecture("seed_oss"),
    "smollm3": Architecture("smollm3", must=_without_rope),
    "stablelm": Architecture("stablelm", keys=_parallel),
    "starcoder2": Architecture("starcoder2", activation=_TANH),
}
