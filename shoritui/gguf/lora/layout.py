"""Where a linear layer of a Hugging Face model stands in a GGUF, and in which order of rows.

    model.layers.0.self_attn.q_proj     ->  blk.0.attn_q.weight, the halves of each head interleaved
    gpt_neox.layers.0.attention.query_key_value
                                        ->  blk.0.attn_qkv.weight, all queries first, then all keys

The names are those of the `gguf` package; the orders are those in which llama.cpp's
convert_hf_to_gguf.py writes a base.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shoritui.errors import UserError
from shoritui.gguf.lora.orders import COLUMNS, FUSED, ROWS, Heads
from shoritui.gguf.read import GgufFile
from shoritui.text import printable

if TYPE_CHECKING:
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
    linear_heads: tuple[int, int] = (0, 0)
    """Of linear attention, those of keys and of values."""
    linear_width: int = 0
    """The width of such a key's head."""


@dataclass(frozen=True, slots=True)
class Part:
    """A tensor of the GGUF that a linear layer is, or is a part of."""

    name: str
    rows: Rows | None = None
    """For each of its rows the layer's; None for all as they are."""
    columns: Rows | None = None
    """Likewise."""
    expert: int | None = None
    """Which of the experts that the tensor holds."""


def base_of(path: Path) -> Base:
    """Return what a model's file says; `UserError` if it cannot be read, or lacks something."""
    return base_of_gguf(GgufFile(path, texts=False))


def base_of_gguf(file: GgufFile) -> Base:
    """Return the same of one that is read; `UserError` if it lacks something."""
    architecture = file.text("general.architecture")
    blocks = file.whole(f"{architecture}.block_count")
    if not 0 < blocks <= _MOST_BLOCKS:
        raise UserError(f"{printable(file.path)} is damaged: it claims {blocks} blocks.")
    if architecture == "glm4" and f"{architecture}.rope.dimension_sections" in file.metadata:
        raise UserError(  # llama.cpp's script sorts its queries and keys for pictures
            f"{printable(file.path)} is a GLM 4 that also sees: how its rows are sorted is not "
            "known here; convert the adapter with llama.cpp's convert_lora_to_gguf.py."
        )
    heads = _each(file, f"{architecture}.attention.head_count", (0,) * blocks)
    kv_heads = _each(file, f"{architecture}.attention.head_count_kv", heads)
    tensors = {name: place.shape for name, place in file.tensors.items()}
    keys, values, width = (
        file.whole(f"{architecture}.ssm.{name}", 0)
        for name in ("group_count", "time_step_rank", "state_size")
    )
    return Base(architecture, blocks, heads, kv_heads, tensors, (keys, values), width)


def _each(file: GgufFile, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """Return a number of each block, which is often stated once for all."""
    stated = file.metadata.get(key)
    listed = stated if isinstance(stated, tuple) else (stated,) * len(default)
    numbers = tuple(each for each in listed if isinstance(each, int))
    return numbers if len(numbers) == len(default) else default


class Layout:
    """The tensors of a base by the names of Hugging Face's modules."""

    def __init__(self, base: Base) -> None:
        """`UserError` if how such a model is converted is not known."""
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

    def check_applied(self, module: str) -> None:
        """`UserError` if an adapter of a module would be left out, or stored wrongly."""
        architecture, kind = self.base.architecture, (self.name(module) or "").rpartition(".")[2]
        if architecture in _NOT_KNOWN:
            raise UserError(
                f"How an adapter of a model of the architecture {architecture} is stored as a GGUF "
                "is not known here: convert it with llama.cpp's convert_lora_to_gguf.py."
            )
        if kind and re.fullmatch(_NOT_APPLIED.get(architecture, ""), kind):
            raise UserError(
                f"The adapter is for {printable(module)}, where llama.cpp applies no adapter to a "
                f"model of the architecture {architecture}: train it without, or merge it."
            )

    def parts(self, module: str, sizes: tuple[int, ...]) -> list[Part]:
        """Return the tensors that a module of these sizes, rows first, is.

        `UserError` if there is none, or its rows cannot be sorted as this base has them.
        """
        plain = _WRAPPED.sub("", module)
        try:
            return self._fused(plain, sizes[0]) or self._alone(module, sizes)
        except (ValueError, ZeroDivisionError, IndexError):
            raise UserError(
                f"{printable(module)} is {' x '.join(map(str, sizes))}, which the heads of its "
                "base do not divide: it is of another base."
            ) from None

    def name(self, module: str) -> str | None:
        """Return GGUF's name of a module, without `.weight`; None if it has none of its own."""
        plain = _WRAPPED.sub("", module)
        mixtral = _MIXTRAL.fullmatch(plain)
        wanted = f"{mixtral[1]}.feed_forward.experts.{mixtral[2]}" if mixtral else plain
        wanted = _EXPERT.sub(".experts.", wanted)
        short = wanted.removeprefix("transformer.")  # as the first folders of BLOOM have them
        candidates = (wanted, f"model.{wanted}", f"transformer.{wanted}", short)
        found = (self._names.get_name(each) for each in candidates)
        return next((name for name in found if name is not None), None)

    def _fused(self, module: str, outputs: int) -> list[Part]:
        """Return the tensors into which a layer is cut; none if it is not cut."""
        for pattern, cut in FUSED.get(self.base.architecture, ()):
            if found := re.fullmatch(rf"model\.layers\.(\d+)\.{pattern}", module):
                block = int(found[1])
                rows = cut(outputs, self._heads(block))
                return [
                    Part(self._present(f"blk.{block}.{name}"), each) for name, each in rows.items()
                ]
        return []

    def _alone(self, module: str, sizes: tuple[int, ...]) -> list[Part]:
        name = self.name(module)
        if name is None:
            raise UserError(
                f"{printable(module)}: a model of the architecture "
                f"{printable(self.base.architecture)} has no such layer, so this is of another one."
            )
        if expert := _EXPERT.search(module):
            return [Part(f"{name}.weight", expert=int(expert[1]))]
        prefix, _, kind = name.rpartition(".")
        block = re.fullmatch(r"blk\.(\d+)", prefix)
        rows = ROWS.get(self.base.architecture, {}).get(kind)
        columns = COLUMNS.get(self.base.architecture, {}).get(kind)
        if block is None or rows is columns is None:
            return [Part(self._present(name))]
        heads = self._heads(int(block[1]))
        return [
            Part(
                f"{name}.weight",
                rows(sizes[0], heads) if rows else None,
                columns(sizes[1], heads) if columns else None,
            )
        ]

    def _present(self, name: str) -> str:
        """Return the tensor; a shared expert that a model without experts has is its only one."""
        shared, alone = f"{name}.weight", f"{name.removesuffix('_shexp')}.weight"
        tensors = self.base.tensors
        return alone if alone in tensors and shared not in tensors else shared

    def _heads(self, block: int) -> Heads:
        base = self.base
        return Heads(base.heads[block], base.kv_heads[block], *base.linear_heads, base.linear_width)


_LATENT: Final = r"attn_(q|q_a|q_b|kv_a_mqa|kv_b|k_b|v_b)"
_NOT_APPLIED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("deepseek2", "deepseek2-ocr", "mistral4"), rf"{_LATENT}|output"),
    "glm-dsa": rf"{_LATENT}|indexer\..*|output",
    "minicpm3": _LATENT,
    "plm": _LATENT,
    "gemma3n": r"altup_.*|per_layer_model_proj",
    "gemma4": r"per_layer_model_proj",
    **dict.fromkeys(("nemotron_h", "nemotron_h_moe"), r"ffn_latent_.*"),
}
"""Where llama.cpp multiplies without looking for an adapter, by the ends of names."""
_NOT_KNOWN: Final = frozenset(
    {
        "falcon-h1",  # its conversion multiplies weights with numbers that a GGUF does not keep
        "plamo", "plamo2", "plamo3", "refact", "mimo2", "cogvlm", "step35", "grok",  # other orders
        "kimi-linear", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7",  # most of it without adapters
    }
)  # fmt: skip
