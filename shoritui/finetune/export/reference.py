"""The logits that an export must reproduce: those of transformers and PEFT, in fp32 on the CPU.

It uses nothing of what exports files, so that it can judge them. Weights are read when a layer
needs them and forgotten after it, so that a base need not fit into memory.
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
from torch import Tensor

from shoritui.finetune.quiet_libraries import quieten
from shoritui.gguf.read import Floats

Documents = Sequence[npt.NDArray[np.int32]]

_HEAD: Final = "lm_head.weight"
_EMBEDDINGS: Final = "model.embed_tokens.weight"


@dataclass(frozen=True, slots=True)
class Reference:
    """What a trained model answers to some documents, and what its base answered."""

    trained: list[Floats]
    """(tokens, vocabulary) for each document."""
    base: list[Floats]


def reference(folder: Path, adapter: Path, documents: Documents) -> Reference:
    """Return the logits of the base in a folder, with a PEFT adapter and without it."""
    quieten()
    from accelerate import cpu_offload, init_empty_weights
    from peft import PeftConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    classes: Any = AutoModelForCausalLM
    config = AutoConfig.from_pretrained(folder)
    with init_empty_weights(include_buffers=False):
        empty = classes.from_config(config, dtype=torch.float32, attn_implementation="eager")
        model: Any = get_peft_model(empty, PeftConfig.from_pretrained(str(adapter))).eval()
    weights = _weights(model.state_dict(), folder, adapter)
    cpu_offload(model, torch.device("cpu"), state_dict=weights)
    trained = [_logits(model, ids) for ids in documents]
    with model.disable_adapter():
        return Reference(trained, [_logits(model, ids) for ids in documents])


@torch.no_grad()
def _logits(model: Any, ids: npt.NDArray[np.int32]) -> Floats:
    given = torch.from_numpy(ids.astype(np.int64))[None]
    logits: Floats = model(input_ids=given, use_cache=False).logits[0].float().numpy()
    return logits


def _weights(names: Iterable[str], base: Path, adapter: Path) -> Mapping[str, Tensor]:
    """Return the tensors of these names of PEFT's in fp32, each read when it is asked for."""
    from accelerate.utils import OffloadedWeightsLoader

    files: dict[str, Path] = {}
    for path in (*sorted(base.glob("*.safetensors")), *sorted(adapter.glob("*.safetensors"))):
        with safe_open(path, "pt") as file:
            files |= dict.fromkeys(file.keys(), path)
    index = {}
    for name in names:
        stored = _stored(name)
        if stored == _HEAD and stored not in files:
            stored = _EMBEDDINGS
        place = {"safetensors_file": str(files[stored]), "weight_name": stored}
        index[name] = {**place, "dtype": "float32"}
    weights: Mapping[str, Tensor] = OffloadedWeightsLoader(index=index)
    return weights


def _stored(name: str) -> str:
    """A base's tensor has no prefix in its file, and an adapter's there no name of its own."""
    if ".lora_" in name:
        return name.replace(".default.", ".")
    return name.removeprefix("base_model.model.").replace(".base_layer.", ".")
