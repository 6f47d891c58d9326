"""What tensors are called here and there, and in which order the rows of queries and keys stand.

It does not know files. Hugging Face rotates the halves of a head against each other, GGUF pairs of
neighbours: the same rows in another order.
"""

from __future__ import annotations

from typing import Final

import gguf
import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.intp]

_WHOLE: Final = ("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight")
_LINEAR: Final = (
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
)
_NORMS: Final = ("input_layernorm", "post_attention_layernorm")


def gguf_names(layers: int) -> dict[str, str]:
    """The name in a GGUF file of every tensor that a llama of so many layers may have."""
    known = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, layers)
    names = {}
    for name in _hugging_face_names(layers):
        other = known.get_name(name, try_suffixes=(".weight",))
        assert other is not None, name
        names[name] = other
    return names


def _hugging_face_names(layers: int) -> list[str]:
    names = list(_WHOLE)
    for index in range(layers):
        layer = f"model.layers.{index}"
        names += [f"{layer}.{part}.weight" for part in (*_NORMS, *_LINEAR)]
    return names


def is_query(name: str) -> bool:
    """Whether a tensor makes queries, by either of its names."""
    return ".q_proj." in name or ".attn_q." in name


def is_key(name: str) -> bool:
    """Whether a tensor makes keys, by either of its names."""
    return ".k_proj." in name or ".attn_k." in name


def rows_for_gguf(heads: int, rows: int) -> Rows:
    """For each row of a GGUF's query or key matrix, the row of Hugging Face's that it is."""
    return np.arange(rows).reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1)


def rows_from_gguf(heads: int, rows: int) -> Rows:
    """For each row of Hugging Face's query or key matrix, the row of a GGUF's that it is."""
    return np.arange(rows).reshape(heads, -1, 2).swapaxes(1, 2).reshape(-1)
