"""The adapter's tensors: their names and sizes, their first values, and PEFT's folder of them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file
from torch import Tensor

from shoritui.errors import UserError
from shoritui.files import recover, whole_folder
from shoritui.finetune.config.model import Lora
from shoritui.gguf.lora.peft import CONFIG_FILE, PREFIX, WEIGHTS_FILE, read_peft
from shoritui.text import clean

_A: Final = ".lora_A.weight"
_B: Final = ".lora_B.weight"
Size = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SavedAdapter:
    """An adapter as it was read from a folder."""

    tensors: dict[str, Tensor]
    """fp32, on the CPU, by PEFT's names."""
    lora: Lora
    """`targets` are those found; `plus` is not kept in the folder."""
    base: str
    """What it was trained on, as its folder says."""


def names_of(linear: str) -> tuple[str, str]:
    """Return PEFT's names of A and B of a layer such as `model.layers.0.self_attn.q_proj`."""
    return f"{PREFIX}{linear}{_A}", f"{PREFIX}{linear}{_B}"


def linears_in(adapter: Mapping[str, Tensor]) -> dict[str, Size]:
    """Return the linear layers that an adapter is on, by name with (out, in)."""
    return {
        name.removeprefix(PREFIX).removesuffix(_A): (
            adapter[name.removesuffix(_A) + _B].shape[0],
            a.shape[1],
        )
        for name, a in adapter.items()
        if name.endswith(_A)
    }


def targeted(linears: Mapping[str, Size], lora: Lora) -> dict[str, Size]:
    """Return those linear layers, by name with (out, in), that the adapter is for, in their order.

    As in PEFT, a target is the end of their names from a dot on, or a pattern of whole names.

    Raises:
        UserError: A target is for none of them.
    """
    if not lora.targets:
        return dict(linears)
    chosen: set[str] = set()
    for target in lora.targets:
        pattern = re.compile(target)
        found = [
            name for name in linears if f".{name}".endswith(f".{target}") or pattern.fullmatch(name)
        ]
        if not found:
            known = ", ".join(dict.fromkeys(map(kind_of, linears)))
            raise UserError(
                f"[lora] targets: this base has no linear layer {target!r}; name some of {known}, "
                "or none for all of them."
            )
        chosen.update(found)
    return {name: shape for name, shape in linears.items() if name in chosen}


def shapes_of(linears: Mapping[str, Size], lora: Lora) -> dict[str, Size]:
    """Return the sizes of the adapter's tensors by PEFT's names, in the order of the linear layers.

    Raises:
        UserError: A target is the name of no linear layer.
    """
    shapes: dict[str, Size] = {}
    for linear, (wide_out, wide_in) in targeted(linears, lora).items():
        name_a, name_b = names_of(linear)
        shapes[name_a] = (lora.r, wide_in)
        shapes[name_b] = (wide_out, lora.r)
    return shapes


def fresh(linears: Mapping[str, Size], lora: Lora, seed: int) -> dict[str, Tensor]:
    """Return an adapter that changes nothing yet, on the CPU: A uniform as PEFT draws it, B zero.

    Each A depends on the seed and its own name alone.
    """
    return {
        name: _uniform(name, shape, seed) if name.endswith(_A) else torch.zeros(shape)
        for name, shape in shapes_of(linears, lora).items()
    }


def check(saved: SavedAdapter, linears: Mapping[str, Size], lora: Lora, where: str) -> None:
    """Check that an adapter that was read is one for these linear layers and settings.

    Raises:
        UserError: A tensor is missing, of another shape, or one too many.
    """
    expected = shapes_of(linears, lora)
    for name, shape in expected.items():
        found = saved.tensors.get(name)
        if found is None:
            raise UserError(f"{where}: this adapter has no {name}, which [lora] targets asks for.")
        if tuple(found.shape) != shape:
            raise UserError(
                f"{where}: {name} is {_by(tuple(found.shape))}, but {_by(shape)} was expected: "
                "the adapter is for another base or another [lora] r."
            )
    more = sorted(saved.tensors.keys() - expected.keys())
    if more:
        raise UserError(
            f"{where}: this adapter has {clean(more[0])}, for which the base and [lora] targets "
            "have no place."
        )


def save(folder: Path, adapter: Mapping[str, Tensor], lora: Lora, base: str) -> None:
    """Write an adapter as PEFT does, the whole folder or nothing.

    `base` is what PEFT is to call the base: a hub id or a folder.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    with whole_folder(folder) as beside:
        tensors = {
            name: tensor.detach().to("cpu", torch.float32).contiguous()
            for name, tensor in adapter.items()
        }
        save_file(tensors, beside / WEIGHTS_FILE, metadata={"format": "pt"})
        text = json.dumps(_config(tensors, lora, base), indent=2, sort_keys=True)
        (beside / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


def load(folder: Path) -> SavedAdapter:
    """Read an adapter that this project, PEFT or another program wrote.

    Raises:
        UserError: It is none, or it does what no adapter here does (DoRA, trained biases, ...).
    """
    recover(folder)
    saved = read_peft(folder)
    tensors: dict[str, Tensor] = {}
    for module, factors in saved.factors.items():
        if factors.is_embedding or (factors.rank, factors.scale) != (saved.rank, saved.scale):
            raise UserError(
                f"{clean(str(folder))}: {clean(module)} is an embedding, or has a rank or alpha of "
                "its own (rank_pattern, alpha_pattern): only linear layers of one rank and alpha "
                "are trained here."
            )
        name_a, name_b = names_of(module)
        tensors[name_a] = torch.tensor(saved.down(module))
        tensors[name_b] = torch.tensor(saved.up(module))
        if not all(tensors[name].isfinite().all() for name in (name_a, name_b)):
            raise UserError(
                f"{clean(str(folder))}: the factors of {clean(module)} are no numbers: the file is "
                "damaged, or the training that made it had gone wrong."
            )
    lora = Lora(
        r=saved.rank,
        alpha=saved.alpha,
        dropout=saved.dropout,
        targets=tuple(_kinds(tensors)),
        rslora=saved.rslora,
    )
    return SavedAdapter(tensors, lora, saved.base)


def _config(tensors: Mapping[str, Tensor], lora: Lora, base: str) -> dict[str, object]:
    kinds = _kinds(tensors)
    is_whole = set(lora.targets) <= set(kinds)  # else only some layers of a kind may be there
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": lora.r,
        "lora_alpha": int(lora.alpha) if lora.alpha == int(lora.alpha) else lora.alpha,
        "lora_dropout": lora.dropout,
        "use_rslora": lora.rslora,
        "target_modules": kinds if is_whole else sorted(linears_in(tensors)),
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "modules_to_save": None,
    }


def _uniform(name: str, shape: Size, seed: int) -> Tensor:
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little"))
    bound = shape[1] ** -0.5  # Kaiming's for a = sqrt(5), which is PEFT's choice
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def _kinds(tensors: Iterable[str]) -> list[str]:
    """Return the kinds of linear layers that tensors of these names are for."""
    return sorted({kind_of(name[: -len(_A)]) for name in tensors})


def kind_of(linear: str) -> str:
    """Return what a linear layer does, such as `q_proj`, by its whole name."""
    return linear.rpartition(".")[2]


def _by(shape: Size) -> str:
    return " x ".join(map(str, shape))
