"""A LoRA GGUF out of PEFT's factors, for the base whose layout it must have."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

import numpy as np

from shoritui.errors import UserError
from shoritui.gguf.lora.layout import Base, Layout, Part
from shoritui.gguf.lora.peft import Factors, PeftAdapter
from shoritui.gguf.read import Floats
from shoritui.gguf.write import FILE_TYPES, About, Kind, Tensor, Value, tensor_of, write_gguf
from shoritui.text import printable

_EMBEDDING = "token_embd.weight"
_HEAD = "output.weight"


def write_lora(
    path: Path, adapter: PeftAdapter, base: Base, about: About, kind: Kind = "F32"
) -> None:
    """Write an adapter for a base, its factors in F32 or F16; one of them is in memory at a time.

    `UserError` if the base has no place for it. `OSError` if the file cannot be written; an older
    one is untouched.
    """
    alpha = adapter.scale * adapter.rank
    metadata: dict[str, Value] = {
        "general.architecture": base.architecture,
        "general.type": "adapter",
        "adapter.type": "lora",
        # llama.cpp multiplies with alpha / rank, whatever the adapter was trained with.
        "adapter.lora.alpha": float(alpha),
        "general.file_type": FILE_TYPES[kind],
    }
    write_gguf(path, about.metadata | metadata, _tensors(adapter, base, alpha, kind))


def _tensors(adapter: PeftAdapter, base: Base, alpha: float, kind: Kind) -> list[Tensor]:
    layout = Layout(base)
    whole: list[Tensor] = []
    experts: dict[str, dict[int, str]] = {}
    for module in adapter.factors:
        try:
            parts = _parts(layout, module, adapter)
        except UserError:
            if not adapter.up(module).any():  # such as the eye's of a model that read only text
                continue
            raise
        for part in parts:
            if part.expert is None:
                whole += _pair(adapter, module, part, alpha, kind)
            else:
                experts.setdefault(part.name, {})[part.expert] = module
    for name, modules in experts.items():
        whole += _stacked(adapter, name, modules, base.tensors[name], alpha, kind)
    names = sorted(tensor.name for tensor in whole)
    for name, same in groupby(names):
        if len(list(same)) > 1:
            raise UserError(f"The adapter has two pairs of factors for {printable(name)}.")
    return whole


def _parts(layout: Layout, module: str, adapter: PeftAdapter) -> list[Part]:
    """Return where a module's factors go; `UserError` if that is nowhere."""
    factors = adapter.factors[module]
    layout.check_applied(module)
    parts = layout.parts(module, factors.sizes)
    for part in parts:
        _check(module, factors, part, adapter, layout.base)
    return parts


def _check(module: str, factors: Factors, part: Part, adapter: PeftAdapter, base: Base) -> None:
    """`UserError` if the base has no such tensor, or one of other sizes."""
    sizes = base.tensors.get(part.name)
    shown, of = printable(module), _of(adapter)
    if _HEAD not in base.tensors and (part.name == _HEAD or factors.is_embedding):
        raise UserError(
            f"The adapter{of} is for {shown}, and in this base the output head is the embeddings: "
            "such a one cannot be a LoRA GGUF; export a merged model."
        )
    if sizes is None:
        raise UserError(
            f"The adapter{of} is for {shown}, and the model has no {part.name}: it was trained "
            "on another base."
        )
    outputs, inputs = factors.sizes
    if part.rows is not None:
        outputs = len(part.rows)
    sizes = sizes if len(sizes) > 1 else (1, *sizes)  # one row is often stored as no row
    wanted = sizes[::-1] if factors.is_embedding else sizes
    if part.expert is not None:
        if len(sizes) != 3 or part.expert >= sizes[0]:
            raise UserError(f"The adapter{of} is for {shown}, an expert that the model lacks.")
        wanted = sizes[1:]
    if wanted != (outputs, inputs) or factors.is_embedding != (part.name == _EMBEDDING):
        raise UserError(
            f"The adapter{of} has {outputs} x {inputs} for {shown}, and the model "
            f"{' x '.join(map(str, wanted))}: it was trained on another base."
        )


def _of(adapter: PeftAdapter) -> str:
    return f" of {printable(adapter.base)}" if adapter.base else ""


def _pair(
    adapter: PeftAdapter, module: str, part: Part, alpha: float, kind: Kind
) -> tuple[Tensor, Tensor]:
    factors = adapter.factors[module]
    rank, (outputs, inputs) = factors.rank, factors.sizes
    outputs = outputs if part.rows is None else len(part.rows)
    strength = factors.scale * rank / alpha

    def down() -> Floats:
        values = adapter.down(module)
        values = values if part.columns is None else values[:, part.columns]
        return values.T if factors.is_embedding else values

    def up() -> Floats:
        values = adapter.up(module)
        values = values if part.rows is None else values[part.rows]
        return values if strength == 1 else values * np.float32(strength)

    across = (inputs, rank) if factors.is_embedding else (rank, inputs)
    return (
        tensor_of(f"{part.name}.lora_a", across, kind, down),
        tensor_of(f"{part.name}.lora_b", (outputs, rank), kind, up),
    )


def _stacked(
    adapter: PeftAdapter,
    name: str,
    modules: Mapping[int, str],
    sizes: tuple[int, ...],
    alpha: float,
    kind: Kind,
) -> tuple[Tensor, Tensor]:
    """Return the factors of all experts; those that the adapter leaves alone have zeros."""
    count, outputs, inputs = sizes
    rank = max(adapter.factors[module].rank for module in modules.values())

    def down() -> Floats:
        values = np.zeros((count, rank, inputs), np.float32)
        for expert, module in modules.items():
            values[expert, : adapter.factors[module].rank] = adapter.down(module)
        return values

    def up() -> Floats:
        values = np.zeros((count, outputs, rank), np.float32)
        for expert, module in modules.items():
            factors = adapter.factors[module]
            strength = np.float32(factors.scale * rank / alpha)
            values[expert, :, : factors.rank] = adapter.up(module) * strength
        return values

    return (
        tensor_of(f"{name}.lora_a", (count, rank, inputs), kind, down),
        tensor_of(f"{name}.lora_b", (count, outputs, rank), kind, up),
    )
