"""An adapter as a LoRA GGUF, which llama.cpp puts on its base while a chat runs.

It does not know who trained it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import gguf
import torch

from shoritui.errors import UserError
from shoritui.finetune.gguf.names import gguf_names, rows_for_gguf
from shoritui.finetune.gguf.reading import Floats, printable
from shoritui.finetune.gguf.shape import ARCHITECTURE, Sizes
from shoritui.finetune.gguf.whole import whole_file
from shoritui.finetune.gguf.write import About, Entry, add_about, write_tensors
from shoritui.finetune.model.adapter import Saved

_NAME: Final = re.compile(r"base_model\.model\.(?P<linear>.+)\.lora_(?P<side>[AB])\.weight")
_HEAD: Final = "lm_head"


def write_lora(path: Path, saved: Saved, sizes: Sizes, about: About, *, tied: bool) -> None:
    """Write the file, all factors in F32; it replaces an older one when it is whole.

    `tied`: whether the base's output head is its embeddings.

    Raises:
        UserError: The adapter is for layers that such a base does not have.
        OSError: It cannot be written; an older one is untouched.
    """
    entries = [
        entry
        for linear, (down, up) in pairs_of(saved).items()
        for entry in _entries(linear, down, up, sizes, tied)
    ]
    with whole_file(path) as part:
        writer = gguf.GGUFWriter(part, ARCHITECTURE)
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        # llama.cpp multiplies with alpha / rank, whatever the adapter was trained with.
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, saved.lora.scale * saved.lora.r)
        add_about(writer, about)
        writer.add_file_type(gguf.LlamaFileType.ALL_F32)
        write_tensors(writer, entries)


def pairs_of(saved: Saved) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """A and B of each linear layer, by its name such as `model.layers.0.self_attn.q_proj`.

    Raises:
        UserError: One of the two is missing, or they do not fit each other.
    """
    sides: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in saved.tensors.items():
        found = _NAME.fullmatch(name)
        if found is None:
            raise UserError(
                f"The adapter holds {printable(name)}, which is none of a linear layer."
            )
        sides.setdefault(found["linear"], {})[found["side"]] = tensor.float()
    rank = saved.lora.r
    for linear, pair in sides.items():
        shapes = {side: tuple(tensor.shape) for side, tensor in pair.items()}
        if shapes.keys() != {"A", "B"} or shapes["A"][:1] != (rank,) or shapes["B"][1:] != (rank,):
            raise UserError(f"The adapter's factors of {printable(linear)} are not of rank {rank}.")
    return {linear: (pair["A"], pair["B"]) for linear, pair in sides.items()}


def _entries(
    linear: str, down: torch.Tensor, up: torch.Tensor, sizes: Sizes, tied: bool
) -> list[Entry]:
    name = f"{linear}.weight"
    other = gguf_names(sizes.layers).get(name)
    if other is None or len(sizes.shape_of(name)) != 2:
        raise UserError(f"The adapter is for {printable(linear)}, which its base does not have.")
    if linear == _HEAD and tied:
        raise UserError(
            "The adapter is for the output head, which in this base is the embeddings: such a one "
            "cannot be a LoRA GGUF; export a merged model."
        )
    if (up.shape[0], down.shape[1]) != sizes.shape_of(name):
        raise UserError(
            f"The adapter's factors of {printable(linear)} are of another base's sizes."
        )
    heads = sizes.heads_of(name)
    if heads:
        up = up[torch.from_numpy(rows_for_gguf(heads, len(up)))]
    return [_entry(f"{other}.lora_a", down), _entry(f"{other}.lora_b", up)]


def _entry(name: str, tensor: torch.Tensor) -> Entry:
    values: Floats = tensor.contiguous().numpy()
    return Entry(name, values.shape, gguf.GGMLQuantizationType.F32, lambda: values)
