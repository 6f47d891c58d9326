"""In which order the rows of a linear layer stand in a GGUF, where that is not PyTorch's.

Each function is given a layer's outputs (or inputs) and the base's heads, and returns for each row
of the GGUF's tensor, or of several tensors, the layer's. `ValueError` if the heads do not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shoritui.gguf.shape import rows_for_gguf

if TYPE_CHECKING:
    from shoritui.gguf.shape import Rows


@dataclass(frozen=True, slots=True)
class Heads:
    """How many there are in a block."""

    queries: int
    keys: int
    linear_keys: int
    """Of linear attention, as the rest."""
    linear_values: int
    linear_width: int


Order = Callable[[int, Heads], "Rows"]
Cut = Callable[[int, Heads], "dict[str, Rows]"]


def _queries(count: int, heads: Heads) -> Rows:
    return rows_for_gguf(heads.queries, count)


def _keys(count: int, heads: Heads) -> Rows:
    return rows_for_gguf(heads.keys, count)


def _by_head(count: int, heads: Heads) -> Rows:
    """Each head's query, key and value stand together: GPT-NeoX, BLOOM."""
    return np.arange(count).reshape(heads.queries, 3, -1).swapaxes(0, 1).reshape(-1)


def _by_group(count: int, heads: Heads) -> Rows:
    """The queries of a key, the key and its value stand together: Falcon."""
    return np.concatenate(list(_groups(count, heads).values()))


def _groups(count: int, heads: Heads) -> dict[str, Rows]:
    rows = np.arange(count).reshape(heads.keys, heads.queries // heads.keys + 2, -1)
    parts = {"attn_q": rows[:, :-2], "attn_k": rows[:, -2], "attn_v": rows[:, -1]}
    return {name: each.reshape(-1) for name, each in parts.items()}


def _rotated(parts: dict[str, Rows], heads: Heads) -> dict[str, Rows]:
    queries, keys = parts["attn_q"], parts["attn_k"]
    return parts | {
        "attn_q": queries[_queries(len(queries), heads)],
        "attn_k": keys[_keys(len(keys), heads)],
    }


def _rotated_groups(count: int, heads: Heads) -> dict[str, Rows]:
    return _rotated(_groups(count, heads), heads)


def _packed(count: int, heads: Heads) -> dict[str, Rows]:
    """All queries, all keys, all values."""
    head, rest = divmod(count, heads.queries + 2 * heads.keys)
    if rest:
        raise ValueError(count)
    ends = [heads.queries * head, (heads.queries + heads.keys) * head]
    queries, keys, values = np.split(np.arange(count), ends)
    return _rotated({"attn_q": queries, "attn_k": keys, "attn_v": values}, heads)


def _gate_and_up(count: int, heads: Heads) -> dict[str, Rows]:
    if count % 2:
        raise ValueError(count)
    gate, up = np.split(np.arange(count), 2)
    return {"ffn_gate_shexp": gate, "ffn_up_shexp": up}


def _values(count: int, heads: Heads) -> Rows:
    """Of linear attention, the values' heads: not each key's together, but all keys' first ones."""
    rows = np.arange(count).reshape(heads.linear_keys, heads.linear_values // heads.linear_keys, -1)
    return rows.swapaxes(0, 1).reshape(-1)


def _queries_keys_values(count: int, heads: Heads) -> Rows:
    """Of linear attention."""
    before = 2 * heads.linear_keys * heads.linear_width
    if before > count:
        raise ValueError(count)
    if count <= before:
        raise ValueError(count)
    values = _values(count - before, heads)
    return np.concatenate([np.arange(before), before + values])


def _linear_groups(count: int, heads: Heads) -> dict[str, Rows]:
    """Each key's query, key, values and gates stand together: Qwen 3 Next."""
    rows, width = np.arange(count).reshape(heads.linear_keys, -1), heads.linear_width
    values, rest = divmod(rows.shape[1] - 2 * width, 2)
    if rest or values <= 0:
        raise ValueError(count)
    query, key, value, gate = np.split(rows, [width, 2 * width, 2 * width + values], axis=1)
    mixed = np.concatenate([each.reshape(-1) for each in (query, key, value)])
    return {"attn_qkv": mixed, "attn_gate": gate.reshape(-1)}


_ROTATED: Final[Mapping[str, Order]] = {"attn_q": _queries, "attn_k": _keys}
"""Hugging Face rotates the halves of a head against each other, these have neighbours instead."""
_LINEAR: Final[Mapping[str, Order]] = {
    "attn_qkv": _queries_keys_values,
    "attn_gate": _values,
    "ssm_conv1d": _queries_keys_values,
    **dict.fromkeys(("ssm_a", "ssm_alpha", "ssm_beta", "ssm_dt"), _values),
}
ROWS: Final[Mapping[str, Mapping[str, Order]]] = {
    **dict.fromkeys(
        (
            "llama", "llama-embed", "mistral3", "arcee", "smollm3", "granite", "granitemoe",
            "granitehybrid", "deci", "minicpm", "olmo", "chameleon", "xverse", "arctic",
            "deepseek", "llada",
        ),
        _ROTATED,
    ),
    "gptneox": {"attn_qkv": _by_head},
    "bloom": {"attn_qkv": _by_head},
    "falcon": {"attn_qkv": _by_group},
    "qwen35": _LINEAR,
    "qwen35moe": _LINEAR,
}  # fmt: skip
"""By architecture, and GGUF's name of the tensor."""
COLUMNS: Final[Mapping[str, Mapping[str, Order]]] = {
    "qwen35": {"ssm_out": _values},
    "qwen35moe": {"ssm_out": _values},
}
FUSED: Final[Mapping[str, Sequence[tuple[str, Cut]]]] = {
    "internlm2": [(r"attention\.wqkv", _rotated_groups)],
    "baichuan": [(r"self_attn\.W_pack", _packed)],
    "bailingmoe": [(r"attention\.query_key_value", _packed)],
    "granitemoe": [(r"shared_mlp\.input_linear", _gate_and_up)],
    "granitehybrid": [(r"shared_mlp\.input_linear", _gate_and_up)],
    "qwen3next": [(r"linear_attn\.in_proj_qkvz", _linear_groups)],
}
"""By architecture, layers that a GGUF cuts into several tensors."""
