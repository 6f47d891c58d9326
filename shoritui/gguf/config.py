"""The config.json of a model that a GGUF holds: what `architectures` states, read back.

    qwen2.embedding_length, ... ─▶ {"model_type": "qwen2", "hidden_size": ...}

Whether it was understood is not believed but seen: stated anew, the config must give every
hyperparameter of the file, and the tensors that transformers has for it must be the file's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np

from shoritui.errors import UserError
from shoritui.gguf.architectures import (
    EPSILONS,
    EXPERTS,
    KINDS,
    MULTIPLIERS,
    Architecture,
    Config,
    hyperparameters,
    rope_tensors,
)
from shoritui.gguf.converted import Sizes, Tensors
from shoritui.gguf.read import GgufFile
from shoritui.gguf.shape import ROPE_FACTORS, RopeScaling, llama3_factors
from shoritui.text import printable

Names = tuple[str, ...]
Blank = Callable[[str, Mapping[Names, Any]], tuple[dict[str, Any], Sizes]]
"""Gives, of a `model_type` and settings under the first name that it has for each, the whole
config.json, and the sizes of the tensors of such a model."""

_SETTINGS: Final[Mapping[str, Names]] = {
    "context_length": ("max_position_embeddings",),
    "embedding_length": ("hidden_size",),
    "block_count": ("num_hidden_layers",),
    "feed_forward_length": ("ffn_hidden_size", "intermediate_size", "n_inner"),
    "attention.head_count": ("num_attention_heads",),
    "attention.head_count_kv": ("num_key_value_heads",),
    "attention.clamp_kqv": ("clip_qkv",),
    "attention.sliding_window": ("sliding_window",),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "use_parallel_residual": ("use_parallel_residual",),
    **{key: (name,) for key, name in MULTIPLIERS.items()},
    "logit_scale": ("logit_scale", MULTIPLIERS["logit_scale"]),
    **EPSILONS,
    **EXPERTS,
}
"""Names of transformers for hyperparameters of all architectures."""
_FLAGS: Final[Mapping[str, Names]] = {
    "attention_bias": ("attn_q.bias", "attn_qkv.bias"),
    "attention_out_bias": ("attn_output.bias",),
    "bias": ("attn_qkv.bias",),
    "mlp_bias": ("ffn_up.bias",),
    "new_decoder_architecture": ("attn_norm_2.weight",),
    "qk_layernorm": ("attn_q_norm.weight",),
    "use_bias": ("ffn_up.bias",),
    "use_qkv_bias": ("attn_q.bias",),
}
"""What is told by a tensor in the first layer."""
_ANY: Final = object()
_NEUTRAL: Final = (0, 1, False, "", "none", "default")
"""Values of a hyperparameter that say that there is nothing about it."""
_SAYS_NOTHING: Final = ("rope.scaling.finetuned", "tensor_data_layout", "vocab_size")
_SEE_WINDOWS: Final = ("exaone4", *(each.name for each in KINDS.values() if each.sliding))
"""The architectures of which llama.cpp heeds a window."""
_MOST_EXPERTS: Final = 2**12
_CONTEXTS: Final = tuple(2**power for power in (13, *range(6, 18)))
"""Of a first training, as it may have been; Llama 3's before all."""


@dataclass(frozen=True, slots=True)
class Understood:
    """A model of a GGUF by transformers' names."""

    config: dict[str, Any]
    tensors: Tensors


def understood(file: GgufFile, blank: Blank) -> Understood:
    """Return the config of a GGUF's model, and which of its tensors are which.

    `UserError` if its architecture is not known, or it says or holds something that is not.
    """
    name, kind = file.text("general.architecture"), file.text("general.type", "model")
    kinds = [each for each, one in KINDS.items() if one.name == name and one.is_read_back]
    if kind != "model" or not kinds:
        known = ", ".join(sorted({one.name for one in KINDS.values() if one.is_read_back}))
        raise UserError(
            f"{file.path} is {printable(kind)!r} of the architecture {printable(name)!r}, which "
            f"cannot be unpacked here, only models of {known}: take the model's own folder instead."
        )
    problem: UserError | None = None
    for each in kinds:
        try:
            return _Reading(file, each).understood(blank)
        except UserError as error:  # the others of this name may be meant
            problem = problem or error
    assert problem is not None
    raise problem


class _Reading:
    """One reading of a file, as a model of one `model_type`."""

    def __init__(self, file: GgufFile, kind: str) -> None:
        self._file, self._kind = file, kind
        self._architecture: Architecture = KINDS[kind]
        prefix = f"{self._architecture.name}."
        self._said = {
            key.removeprefix(prefix): _once(value)
            for key, value in file.metadata.items()
            if key.startswith(prefix)
        }

    def understood(self, blank: Blank) -> Understood:
        settings = dict(self._settings())
        try:
            config, sizes = blank(self._kind, settings)
            taken = self._architecture.must(config)
        except Exception as error:  # what transformers checks has no common name
            raise self._problem(f"its numbers make no model ({printable(error)})") from None
        config |= {key: _like(config[key], value) for key, value in taken.items() if key in config}
        where = str(self._file.path)
        stated = hyperparameters(config, self._architecture, where)
        self._check_said({key.partition(".")[2]: value for key, value in stated.items()})
        tensors = Tensors(config, self._architecture, stated, sizes, _none, where)
        self._check_tensors(tensors)
        self._check_rotation(config)
        return Understood(config, tensors)

    def _settings(self) -> Iterator[tuple[Names, Any]]:
        file = self._file
        if "token_embd.weight" not in file.tensors:
            raise self._problem("it holds no token_embd.weight: it is no whole model")
        if file.whole(self._key("block_count")) > len(file.tensors):
            raise self._problem("it is not complete: it has no tensors for all its layers")
        if file.whole(self._key("expert_count"), 0) > _MOST_EXPERTS:
            raise self._problem("it counts more experts than any model has")
        yield ("vocab_size",), file.shape("token_embd.weight")[0]
        yield ("tie_word_embeddings",), "output.weight" not in file.tensors
        for name in ("bos", "eos", "pad"):
            key = f"tokenizer.ggml.{'padding' if name == 'pad' else name}_token_id"
            yield (f"{name}_token_id",), file.metadata.get(key)
        for key, names in _SETTINGS.items():
            if key in self._said:
                yield names, _shortest(self._said[key])
        natural, size = self._head_sizes()
        yield ("head_dim", "" if size == natural else "head_dim"), size
        for flag, ends in _FLAGS.items():
            yield (flag, ""), any(f"blk.0.{end}" in file.tensors for end in ends)
        yield ("multi_query", ""), self._said.get("attention.head_count_kv") == 1
        yield ("num_kv_heads", ""), self._said.get("attention.head_count_kv")
        if not self._architecture.sliding:
            yield ("sliding_window", ""), None
            yield ("layer_types", ""), ["full_attention"] * file.whole(self._key("block_count"))
        rope = self._rope(size)
        yield ("rope_parameters", ""), rope
        yield ("partial_rotary_factor", "rotary_pct", ""), rope["partial_rotary_factor"]
        if (first := rope.get("original_max_position_embeddings")) is not None:
            yield ("original_max_position_embeddings", ""), first

    def _head_sizes(self) -> tuple[int, int]:
        """Return how wide a head would be, and how wide it is."""
        heads = self._file.whole(self._key("attention.head_count"))
        natural = self._file.whole(self._key("embedding_length")) // max(heads, 1)
        return natural, self._file.whole(self._key("attention.key_length"), natural)

    def _rope(self, size: int) -> dict[str, Any]:
        file, said = self._file, self._said
        turned = file.whole(self._key("rope.dimension_count"), size)
        theta = file.number(self._key("rope.freq_base"), 10_000.0)
        rope: dict[str, Any] = {
            "rope_theta": theta,
            "rope_type": said.get("rope.scaling.type", "none"),
            "partial_rotary_factor": turned / max(size, 1),
        }
        if rope["rope_type"] == "none":
            rope["rope_type"] = "default"
        if "rope.scaling.factor" in said:
            rope["factor"] = _shortest(said["rope.scaling.factor"])
        if (first := said.get("rope.scaling.original_context_length")) is not None:
            rope["original_max_position_embeddings"] = first
        for name in ("fast", "slow"):
            if (value := said.get(f"rope.scaling.yarn_beta_{name}")) is not None:
                rope[f"beta_{name}"] = _shortest(value)
        share = said.get("rope.scaling.attn_factor")
        if "rope_factors_long.weight" in file.tensors:
            rope["rope_type"] = "longrope"
            for name in ("long", "short"):
                rope[f"{name}_factor"] = [*map(_shortest, self._vector(f"rope_factors_{name}"))]
            rope["attention_factor"] = None if share is None else _shortest(share)
        elif rope["rope_type"] == "yarn" and share is not None:
            natural = 0.1 * float(np.log(rope.get("factor", 1.0))) + 1
            rope["attention_factor"] = _shortest(share) * natural
        if (weight := said.get("rope.scaling.yarn_log_multiplier")) is not None:
            rope["mscale"] = rope["mscale_all_dim"] = _shortest(weight)
        if self._kind == "ministral3":  # transformers always scales queries by their places
            rope["llama_4_scaling_beta"] = _shortest(said.get("attention.temperature_scale", 0.0))
            context = file.whole(self._key("context_length"))
            rope.setdefault("original_max_position_embeddings", context)
        if ROPE_FACTORS in file.tensors:
            rope |= self._llama3(theta, turned)
        return rope

    def _llama3(self, theta: float, turned: int) -> dict[str, Any]:
        """Return which of Llama 3's ways to stretch rotation gives the file's divisors."""
        stored = self._vector(ROPE_FACTORS.removesuffix(".weight"))
        for context in _CONTEXTS:
            scaling = RopeScaling("llama3", float(stored.max(initial=0)), 1.0, 4.0, context)
            made = llama3_factors(scaling, theta, turned)
            if made.shape == stored.shape and np.allclose(stored, made, 1e-4):
                return scaling.settings
        raise self._problem("it scales rotation in a way of its own")

    def _vector(self, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.concatenate(list(self._file.rows(f"{name}.weight")))

    def _check_said(self, stated: Mapping[str, Any]) -> None:
        """`UserError` if the file says something else, or something of which nothing is known.

        What llama.cpp has no name for, it does not heed either.
        """
        for key, value in self._said.items():
            if key not in _keys_of_llama_cpp():
                continue
            known = stated[key] if key in stated else self._silent.get(key, _NEUTRAL)
            if known is _ANY or _is_same(value, known):
                continue
            raise self._problem(
                f"what it says of {printable(key)} ({printable(value)}) is not known of a model of "
                f"the kind {self._kind}"
            )

    @property
    def _silent(self) -> dict[str, Any]:
        """What a file may say beyond what is stated here, and is as it is in any case."""
        step, layers = self._architecture.sliding, self._said["block_count"]
        windows = tuple(bool(step and (at + 1) % step) for at in range(layers))
        silent = dict.fromkeys(_SAYS_NOTHING, _ANY)
        if self._architecture.name not in _SEE_WINDOWS:
            silent["attention.sliding_window"] = _ANY
        if self._kind == "ministral3":
            silent["rope.scaling.yarn_log_multiplier"] = _ANY
        if self._said.get("rope.scaling.type", "none") == "none":
            silent["rope.scaling.original_context_length"] = _ANY
        return silent | {
            "attention.sliding_window_pattern": (windows, step),
            "rope.freq_base_swa": (10_000.0,),
        }

    def _check_tensors(self, tensors: Tensors) -> None:
        wanted, held = tensors.base.tensors, self._file.tensors
        for name, shape in wanted.items():
            if name not in held:
                raise self._problem(f"it is not complete: {name} is missing")
            if held[name].shape != shape:
                raise self._problem(f"{name} has not the shape that its metadata says")
        if strange := held.keys() - wanted.keys():
            raise self._problem(
                f"it holds {printable(min(strange))}, which a model of the kind {self._kind} has "
                "not"
            )

    def _check_rotation(self, config: Config) -> None:
        for name, wanted in rope_tensors(config).items():
            if not np.allclose(self._vector(name.removesuffix(".weight")), wanted, 1e-4):
                raise self._problem("it scales rotation in a way of its own")

    def _key(self, name: str) -> str:
        return f"{self._architecture.name}.{name}"

    def _problem(self, what: str) -> UserError:
        return UserError(f"{self._file.path}: {what}: take the model's own folder instead.")


@cache
def _keys_of_llama_cpp() -> frozenset[str]:
    """Return the hyperparameters that have a name, without the architecture's before it."""
    from gguf.constants import Keys

    groups = [each for each in vars(Keys).values() if isinstance(each, type)]
    names = [name for group in groups for name in vars(group).values() if isinstance(name, str)]
    return frozenset(name.removeprefix("{arch}.") for name in names if name.startswith("{arch}."))


def _shortest(value: Any) -> Any:
    """Return a number as it was before it was stored in 32 bits."""
    return float(str(np.float32(value))) if isinstance(value, float | np.floating) else value


def _like(default: Any, value: Any) -> Any:
    """Return a number as whole as the one in whose place it comes."""
    return int(value) if type(default) is int and isinstance(value, float) else value


def _once(value: Any) -> Any:
    """Return a number that is stated for each layer, but is the same for all."""
    if isinstance(value, tuple) and value and isinstance(value[0], int) and len(set(value)) == 1:
        return value if isinstance(value[0], bool) else value[0]
    return value


def _is_same(one: Any, other: Any) -> bool:
    """Return whether a value is another, or one of several."""
    if isinstance(other, tuple) and one != other:
        return any(_is_same(one, each) for each in other)
    if isinstance(one, float) and isinstance(other, int | float):
        return bool(np.isclose(one, other, 1e-5))
    return bool(one == other)


def _none(name: str) -> Any:
    raise AssertionError(name)
