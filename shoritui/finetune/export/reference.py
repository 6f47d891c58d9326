"""The logits that an export must reproduce: those of transformers and PEFT, in fp32 on the CPU.

It knows nothing of how files are exported, and uses nothing of it. Weights are read when a layer
needs them and forgotten after it, so that a base need not fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from torch import Tensor

from shoritui.finetune.gguf.reading import Floats
from shoritui.finetune.model.quiet import quieten

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
    """The logits of the base in a folder, with a PEFT adapter and without it."""
    quieten()
    from accelerate import cpu_offload, init_empty_weights
    from peft import PeftConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    classes: Any = AutoModelForCausalLM
    config = AutoConfig.from_pretrained(folder)
    with init_empty_weights(include_buffers=False):
        empty = classes.from_config(config, dtype=torch.float32, attn_implementation="eager")
        model: Any = get_peft_model(empty, PeftConfig.from_pretrained(str(adapter))).eval()
    cpu_offload(model, torch.device("cpu"), state_dict=_Weights([folder, adapter]))
    trained = [_logits(model, ids) for ids in documents]
    with model.disable_adapter():
        return Reference(trained, [_logits(model, ids) for ids in documents])


@torch.no_grad()
def _logits(model: Any, ids: npt.NDArray[np.int32]) -> Floats:
    given = torch.from_numpy(ids.astype(np.int64))[None]
    logits: Floats = model(input_ids=given, use_cache=False).logits[0].float().numpy()
    return logits


class _Weights(Mapping[str, Tensor]):
    """All tensors of some folders in fp32, each read when it is asked for by its name in PEFT."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._files: dict[str, Path] = {}
        for path in (path for folder in folders for path in sorted(folder.glob("*.safetensors"))):
            with safe_open(path, "pt") as file:
                self._files |= dict.fromkeys(file.keys(), path)

    def __getitem__(self, name: str) -> Tensor:
        stored = self._stored(name)
        with safe_open(self._files[stored], "pt") as file:
            tensor: Tensor = file.get_tensor(stored)
        return tensor.float()

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def _stored(self, name: str) -> str:
        """A base's tensor has no prefix in its file, and an adapter's there no name of its own."""
        if ".lora_" in name:
            return name.replace(".default.", ".")
        plain = name.removeprefix("base_model.model.").replace(".base_layer.", ".")
        return _EMBEDDINGS if plain == _HEAD and plain not in self._files else plain
