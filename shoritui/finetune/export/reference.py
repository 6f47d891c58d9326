"""The logits that an export must reproduce: those of transformers and PEFT, in fp32 on the CPU.

It uses nothing of what exports files, so that it can judge them. Where a folder has its tensors
under the model's own names, they are read when a layer needs them and forgotten after it, so that
such a base need not fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from shoritui.finetune.quiet_libraries import quieten
from shoritui.gguf.read import Floats
from shoritui.gguf.shape import read_config

Documents = Sequence[npt.NDArray[np.int32]]

_FAR: Final = 10.0


@dataclass(frozen=True, slots=True)
class Reference:
    """What a trained model answers to some documents, and what its base answered."""

    trained: list[Floats]
    """(tokens, vocabulary) for each document."""
    base: list[Floats]
    rounds_gelu: bool = False
    """Whether GELU was rounded as llama.cpp does it."""
    has_long_sums: bool = False
    """Whether a layer sums over all tokens before, as linear attention does."""


def completed(folder: Path) -> Mapping[str, Any]:
    """Return a folder's config.json with what transformers takes where it is mute.

    `UserError` if it cannot be read.
    """
    quieten()
    from transformers import AutoConfig

    config = read_config(folder)
    try:
        whole: dict[str, Any] = AutoConfig.from_pretrained(folder, local_files_only=True).to_dict()
    except Exception:  # what it raises has no common name; the table of architectures says why
        return config
    return config | whole


def reference(folder: Path, adapter: Path, documents: Documents) -> Reference:
    """Return the logits of the base in a folder, with a PEFT adapter and without it.

    GELU is computed as llama.cpp does it.
    """
    quieten()
    model = _adapted(folder, adapter)
    is_rounded = with_llama_cpps_gelu(model)
    trained = [_logits(model, ids) for ids in documents]
    with model.disable_adapter():
        base = [_logits(model, ids) for ids in documents]
    has_long_sums = any("DeltaNet" in type(module).__name__ for module in model.modules())
    return Reference(trained, base, is_rounded, has_long_sums)


def _adapted(folder: Path, adapter: Path) -> Any:
    from accelerate import cpu_offload, init_empty_weights
    from peft import PeftConfig, PeftModel, get_peft_model
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    classes = class_of(config)
    with init_empty_weights(include_buffers=False):
        empty = classes.from_config(config, dtype=torch.float32, attn_implementation="eager")
        tied = dict(getattr(empty, "all_tied_weights_keys", None) or {})
        model: Any = get_peft_model(empty, PeftConfig.from_pretrained(str(adapter))).eval()
    weights = _weights(model.state_dict(), tied, folder, adapter)
    if weights is not None:
        cpu_offload(model, torch.device("cpu"), state_dict=weights)
        return model
    base = classes.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return PeftModel.from_pretrained(base, str(adapter)).eval()


def class_of(config: Any) -> Any:
    """Return what loads a model of this config; what also sees pictures goes by another name."""
    import transformers

    writes: Any = transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    name = "AutoModelForCausalLM" if type(config) in writes else "AutoModelForImageTextToText"
    return getattr(transformers, name)


@torch.no_grad()
def _logits(model: Any, ids: npt.NDArray[np.int32]) -> Floats:
    given = torch.from_numpy(ids.astype(np.int64))[None]
    logits: Floats = model(input_ids=given, use_cache=False).logits[0].float().numpy()
    return logits


def _weights(
    names: Iterable[str], tied: Mapping[str, str], base: Path, adapter: Path
) -> Mapping[str, Tensor] | None:
    """Return the tensors of these names of PEFT's in fp32, each read when it is asked for.

    None if the files have not all of them under these names.
    """
    from accelerate.utils import OffloadedWeightsLoader

    files: dict[str, Path] = {}
    for path in (*sorted(base.glob("*.safetensors")), *sorted(adapter.glob("*.safetensors"))):
        if path.is_file():
            with safe_open(path, "pt") as file:
                files |= dict.fromkeys(file.keys(), path)
    index = {}
    for name in names:
        stored = _stored(name)
        if stored not in files:
            stored = tied.get(stored, stored)
        if stored not in files:
            return None
        place = {"safetensors_file": str(files[stored]), "weight_name": stored}
        index[name] = {**place, "dtype": "float32"}
    weights: Mapping[str, Tensor] = OffloadedWeightsLoader(index=index)
    return weights


def _stored(name: str) -> str:
    """A base's tensor has no prefix in its file, and an adapter's there no name of its own."""
    if ".lora_" in name:
        return name.replace(".default.", ".")
    return name.removeprefix("base_model.model.").replace(".base_layer.", ".")


def with_llama_cpps_gelu(model: Any) -> bool:
    """Let what reads text in a model compute GELU as llama.cpp does; return whether it has any.

    There it is a table for numbers in half precision, of the form with tanh.
    """
    decoder: nn.Module = model.get_decoder()
    found = [
        (module, name)
        for module in decoder.modules()
        for name, child in module.named_children()
        if "gelu" in type(child).__name__.lower()
    ]
    for module, name in found:
        setattr(module, name, _LlamaCppsGelu())
    return bool(found)


class _LlamaCppsGelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """Round what goes in and what comes out; far from 0 nothing is rounded."""
        rounded = functional.gelu(x.half().float(), approximate="tanh").half().float()
        return torch.where(x >= _FAR, x, torch.where(x <= -_FAR, 0.0, rounded))
