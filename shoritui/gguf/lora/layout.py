"""Where a linear layer of a Hugging Face model stands in a GGUF, and in which order of rows.

    model.layers.0.self_attn.q_proj     ->  blk.0.attn_q.weight, the halves of each head interleaved
    gpt_neox.layers.0.attention.query_key_value
                                        ->  blk.0.attn_qkv.weight, all queries first, then all keys

The names are those of the `gguf` package; the orders are those in which llama.cpp's
convert_hf_to_gguf.py writes a base.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shoritui.errors import UserError
from shoritui.gguf.shape import rows_for_gguf
from shoritui.text import printable

if TYPE_CHECKING:
    from shoritui.gguf.read import GgufFile
    from shoritui.gguf.shape import Rows

_EXPERT: Final = re.compile(r"\.experts\.(\d+)\.")
_WRAPPED: Final = re.compile(r"(?:^|(?<=\.))(?:language_model|text_model)\.")
"""Around the language part of a model that also sees or hears."""
_MIXTRAL: Final = re.compile(r"model\.(layers\.\d+)\.block_sparse_moe\.experts\.\d+\.(w[123])")
_MOST_BLOCKS: Final = 4096


@dataclass(frozen=True, slots=True)
class Base:
    """What of a model decides how an adapter of it is stored."""

    architecture: str
    """As GGUF calls it, such as `qwen2`."""
    blocks: int
    heads: tuple[int, ...]
    """Of each block."""
    kv_heads: tuple[int, ...]
    tensors: Mapping[str, tuple[int, ...]]
    """The sizes of the GGUF's tensors by name, rows first."""


@dataclass(frozen=True, slots=True)
class Part:
    """A tensor of the GGUF that a linear layer is, or is a part of."""

    name: str
    rows: Rows | None = None
    """For each of its rows the layer's; None for all as they are."""
    expert: int | None = None
    """Which of the experts that the tensor holds."""


def base_of_gguf(file: GgufFile) -> Base:
    """Return what a model's file says; `UserError` if it lacks something."""
    architecture = file.text("general.architecture")
    blocks = file.whole(f"{architecture}.block_count")
    if not 0 < blocks <= _MOST_BLOCKS:
        raise UserError(f"{printable(file.path)} is damaged: it claims {blocks} blocks.")
    heads = _each(file, f"{architecture}.attention.head_count", (0,) * blocks)
    return Base(
        architecture,
        blocks,
        heads,
        _each(file, f"{architecture}.attention.head_count_kv", heads),
        {name: place.shape for name, place in file.tensors.items()},
    )


def _each(file: GgufFile, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """Return a number of each block, which is often stated once for all."""
    if several := file.metadata.get(key):
        listed = several if isinstance(several, tuple) else (several,) * len(default)
        if len(listed) == len(default) and all(isinstance(each, int) for each in listed):
            return listed
    return default


class Layout:
    """The tensors of a base by the names of Hugging Face's modules."""

    def __init__(self, base: Base) -> None:
        """`UserError` if the `gguf` package does not know the architecture."""
        from gguf import MODEL_ARCH_NAMES
        from gguf.tensor_mapping import TensorNameMap

        kinds = {name: kind for kind, name in MODEL_ARCH_NAMES.items()}
        if base.architecture not in kinds:
            raise UserError(
                f"How a model of the architecture {printable(base.architecture)} is named in a "
                "GGUF is not known here: convert the adapter with llama.cpp's "
                "convert_lora_to_gguf.py."
            )
        # A map of its own: theirs adds one architecture's names to the class, for all later ones.
        blocks = dict(TensorNameMap.block_mappings_cfg)
        own = type("Names", (TensorNameMap,), {"block_mappings_cfg": blocks})
        self.base = base
        self._names: Any = own(kinds[base.architecture], base.blocks)

    def parts(self, module: str, outputs: int) -> list[Part]:
        """Return the tensors that a linear layer with so many outputs is.

        `UserError` if there is none, or its rows cannot be sorted as this base has them.
        """
        plain = _WRAPPED.sub("", module)
        expert = _EXPERT.search(plain)
        name = self.name(module)
        if name is None:
            raise UserError(
                f"The adapter is for {printable(module)}, and a model of the architecture "
                f"{printable(self.base.architecture)} has no such layer: it is for another base."
            )
        if expert:
            return [Part(f"{name}.weight", expert=int(expert[1]))]
        return self._sorted(name, outputs)

    def name(self, module: str) -> str | None:
        """Return GGUF's name of a module, without `.weight`; None if there is none."""
        plain = _WRAPPED.sub("", module)
        mixtral = _MIXTRAL.fullmatch(plain)
        wanted = f"{mixtral[1]}.feed_forward.experts.{mixtral[2]}" if mixtral else plain
        wanted = _EXPERT.sub(".experts.", wanted)
        short = wanted.removeprefix("transformer.")  # as the first folders of BLOOM have them
        candidates = (wanted, f"model.{wanted}", f"transformer.{wanted}", short)
        found = (self._names.get_name(each) for each in candidates)
        return next((name for name in found if name is not None), None)

    def _sorted(self, name: str, outputs: int) -> list[Part]:
        prefix, _, kind = name.rpartition(".")
        order = _ORDERS.get(self.base.architecture, {}).get(kind)
        whole = f"{name}.weight"
        if order is None or not (block := re.fullmatch(r"blk\.(\d+)", prefix)):
            return [Part(whole)]
        index = int(block[1])
        heads, kv_heads = self.base.heads[index], self.base.kv_heads[index]
        try:
            rows = order(outputs, heads, kv_heads)
        except (ValueError, ZeroDivisionError):
            raise UserError(
                f"The adapter has {outputs} outputs for {printable(whole)}, which its base's "
                f"{heads} heads do not divide: it is for another base."
            ) from None
        if isinstance(rows, dict):
            return [Part(f"{prefix}.{part}.weight", each) for part, each in rows.items()]
        return [Part(whole, rows)]


_Order = Callable[[int, int, int], "Rows | dict[str, Rows]"]
"""Of a layer's outputs, heads and key heads, its rows in GGUF's order, maybe in several tensors."""


def _queries(outputs: int, heads: int, kv_heads: int) -> Rows:
    return rows_for_gguf(heads, outputs)


def _keys(outputs: int, heads: int, kv_heads: int) -> Rows:
    return rows_for_gguf(kv_heads, outputs)


def _by_head(outputs: int, heads: int, kv_heads: int) -> Rows:
    """Each head's query, key and value stand together: GPT-NeoX, BLOOM."""
    import numpy as np

    return np.arange(outputs).reshape(heads, 3, -1).swapaxes(0, 1).reshape(-1)


def _by_group(outputs: int, heads: int, kv_heads: int) -> Rows:
    """The queries of a key head, it and its value stand together: Falcon."""
    import numpy as np

    return np.concatenate(list(_groups(outputs, heads, kv_heads).values()))


def _groups(outputs: int, heads: int, kv_heads: int) -> dict[str, Rows]:
    import numpy as np

    rows = np.arange(outputs).reshape(kv_heads, heads // kv_heads + 2, -1)
    parts = {"attn_q": rows[:, :-2], "attn_k": rows[:, -2], "attn_v": rows[:, -1]}
    return {name: each.reshape(-1) for name, each in parts.items()}


def _rotated(parts: dict[str, Rows], heads: int, kv_heads: int) -> dict[str, Rows]:
    queries, keys = parts["attn_q"], parts["attn_k"]
    return parts | {
        "attn_q": queries[rows_for_gguf(heads, len(queries))],
        "attn_k": keys[rows_for_gguf(kv_heads, len(keys))],
    }


def _internlm2(outputs: int, heads: int, kv_heads: int) -> dict[str, Rows]:
    return _rotated(_groups(outputs, heads, kv_heads), heads, kv_heads)


def _packed(outputs: int, heads: int, kv_heads: int) -> dict[str, Rows]:
    """Queries, keys and values one after the other: Baichuan, Bailing."""
    import numpy as np

    head, rest = divmod(outputs, heads + 2 * kv_heads)
    if rest:
        raise ValueError(outputs)
    ends = [heads * head, (heads + kv_heads) * head]
    names = ("attn_q", "attn_k", "attn_v")
    parts = dict(zip(names, np.split(np.arange(outputs), ends), strict=True))
    return _rotated(parts, heads, kv_heads)


_LLAMA_LIKE: Final[Mapping[str, _Order]] = {"attn_q": _queries, "attn_k": _keys}
_ORDERS: Final[Mapping[str, Mapping[str, _Order]]] = {
    **dict.fromkeys(
        (
            "llama", "llama-embed", "mistral3", "arcee", "smollm3", "afmoe", "granite",
            "granitemoe", "granitehybrid", "deci", "minicpm", "olmo", "chameleon", "xverse",
            "arctic", "deepseek", "llada", "cogvlm",
        ),
        _LLAMA_LIKE,
    ),
    "gptneox": {"attn_qkv": _by_head},
    "bloom": {"attn_qkv": _by_head},
    "falcon": {"attn_qkv": _by_group},
    "internlm2": {"attn_qkv": _internlm2},
    "baichuan": {"attn_qkv": _packed},
    "bailingmoe": {"attn_qkv": _packed},
}  # fmt: skip
"""By architecture and GGUF's name of the tensor, where rows stand otherwise than in PyTorch."""
