"""A model's folder as it is read for an export: its config, and its weights one by one.

It does not know adapters, nor how a GGUF is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open

from shoritui.errors import UserError
from shoritui.finetune.gguf.names import gguf_names
from shoritui.finetune.gguf.reading import Floats, printable
from shoritui.finetune.gguf.shape import sizes_of_config
from shoritui.finetune.gguf.tokens import tokens_of_folder
from shoritui.finetune.gguf.write import Llama
from shoritui.finetune.model.shape import read_config

_INDEX: Final = "model.safetensors.index.json"
_HEAD: Final = "lm_head.weight"
_MADE_ANEW: Final = "rotary_emb.inv_freq"
"""Old folders hold what follows from the config."""


class Checkpoint:
    """The weights of a folder, by name, each read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        """`UserError` if its list of files cannot be read."""
        self.folder = folder
        self.files: Mapping[str, Path] = _files(folder)

    def tensor(self, name: str) -> torch.Tensor:
        """A tensor in fp32."""
        path = self.files[name]
        try:
            with safe_open(path, "pt") as file:
                tensor: torch.Tensor = file.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path} cannot be read: {error}.") from None
        return tensor.float()


def llama_of(folder: Path) -> Llama:
    """The model of a folder, as it can be written to a GGUF.

    Raises:
        UserError: It is no Llama or Mistral in whole numbers of bits, or not complete.
    """
    config = read_config(folder)
    where = str(folder / "config.json")
    if config.get("quantization_config"):
        raise UserError(f"{where}: its weights are quantised: export from the base that is not.")
    sizes = sizes_of_config(config, where)
    checkpoint = Checkpoint(folder)
    names = _names(checkpoint, config, sizes.layers)

    def values(name: str) -> Floats:
        tensor = checkpoint.tensor(name)
        if tuple(tensor.shape) != sizes.shape_of(name):
            raise UserError(f"{folder}: {name} has not the shape that config.json says.")
        floats: Floats = tensor.numpy()
        return floats

    return Llama(sizes, tokens_of_folder(folder, config), names, values)


def _names(checkpoint: Checkpoint, config: Mapping[str, Any], layers: int) -> tuple[str, ...]:
    known = gguf_names(layers)
    found = {name for name in checkpoint.files if not name.endswith(_MADE_ANEW)}
    if config.get("tie_word_embeddings"):
        known.pop(_HEAD)
        found.discard(_HEAD)
    for names, problem in ((found - known.keys(), "has"), (known.keys() - found, "lacks")):
        if names:
            raise UserError(
                f"{checkpoint.folder} {problem} {printable(min(names))}, so it cannot be written "
                "to a GGUF as a plain llama: export with --as peft."
            )
    return tuple(name for name in known if name in found)


def _files(folder: Path) -> dict[str, Path]:
    try:
        if (index := folder / _INDEX).is_file():
            said: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
            return {name: folder / Path(file).name for name, file in said.items()}
        whole = folder / "model.safetensors"
        paths = [whole] if whole.is_file() else sorted(folder.glob("*.safetensors"))
        found: dict[str, Path] = {}
        for path in paths:
            with safe_open(path, "pt") as file:
                found |= dict.fromkeys(file.keys(), path)
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise UserError(f"The weights in {folder} cannot be read: {error}.") from None
