"""Adapters that PEFT itself made and saved, and the logits that they give there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from peft import LoraConfig, get_peft_model

from shoritui.finetune.export.reference import with_llama_cpps_gelu
from shoritui.finetune.model.adapter import SavedAdapter, save
from shoritui.gguf.lora.layout import Base
from shoritui.gguf.lora.peft import read_peft
from shoritui.gguf.lora.write import write_lora
from shoritui.gguf.read import Floats
from shoritui.gguf.write import About, Kind
from tests.gguf.tiny import DOCUMENTS, loaded, logits_of

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True)
class Trained:
    base: Path
    adapter: Path
    logits: list[Floats]
    """With the adapter on, fp32; GELU as llama.cpp computes it."""


def make_trained(
    base: Path,
    folder: Path,
    documents: Sequence[npt.NDArray[np.int32]] = DOCUMENTS,
    **changes: Any,
) -> Trained:
    """An adapter on all linear layers that is strong enough to be heard."""
    model = loaded(base)
    settings: dict[str, Any] = {"r": 4, "lora_alpha": 6, "target_modules": LINEARS}
    adapted: Any = get_peft_model(model, LoraConfig(**(settings | changes), task_type="CAUSAL_LM"))
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1)
    adapted.save_pretrained(folder, save_embedding_layers=False)
    with_llama_cpps_gelu(adapted)
    return Trained(base, folder, logits_of(adapted, documents))


def write_saved(
    path: Path, saved: SavedAdapter, base: Base, about: About, kind: Kind = "F32"
) -> None:
    """A LoRA GGUF of an adapter that is in no folder yet."""
    folder = path.with_suffix(".peft")
    save(folder, saved.tensors, saved.lora, saved.base)
    write_lora(path, read_peft(folder), base, about, kind)


def as_config(trained: Trained, folder: Path, base: str) -> Path:
    """A training config of two tiers, of which the first is trained, and a conversation."""
    text = f"""
base = "{base}"
output = "out"
[[tier]]
name = "low"
data = ["low.txt"]
evaluation = 0.0
[[tier]]
name = "high"
data = ["high.txt"]
evaluation = 0.0
"""
    (folder / "finetune.toml").write_text(text)
    for name in ("low", "high"):
        (folder / f"{name}.txt").write_text(
            f"▀title\nThe {name} lamp▄\n▀message\nAda: _Oh,_  said Ada. 🙂▄\n"
            '▀message (length: nano)\nBrin: "It\'s lit."▄\n',
            encoding="utf-8",
        )
    shutil.copytree(trained.adapter, folder / "out" / "low")
    return folder / "finetune.toml"
