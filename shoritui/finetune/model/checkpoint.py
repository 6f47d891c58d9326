"""The tensors of a model's folder: which there are, their shapes, and one at a time, read by mmap.

It does not know what they mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from shoritui.blockml import clean
from shoritui.errors import UserError

_INDEX: Final = "model.safetensors.index.json"
_WHOLE: Final = "model.safetensors"
_NOT_READ: Final = ("consolidated", "adapter_")
_TYPES: Final = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}

Shape = tuple[int, ...]


class Checkpoint:
    """The safetensors of a folder, whose files are open as long as it lives."""

    def __init__(self, folder: Path) -> None:
        """Opens the files; nothing of a tensor is read yet.

        Raises:
            UserError: There are none, one is missing, or one is damaged.
        """
        self.folder = folder
        self._files: dict[str, Any] = {}
        self.shapes: dict[str, Shape] = {}
        """Of every tensor, by name."""
        for path in _files(folder):
            try:
                file: Any = safe_open(path, framework="pt", device="cpu")
                for name in file.keys():  # noqa: SIM118 (it is no mapping)
                    self._files[name] = file
                    self.shapes[name] = tuple(file.get_slice(name).get_shape())
            except (OSError, SafetensorError) as error:
                raise UserError(
                    f"{path} cannot be read ({error}): download or copy it again."
                ) from None

    def check(self, expected: Mapping[str, Shape], ignored: frozenset[str] = frozenset()) -> None:
        """Sees that there is what a model needs, in its shapes and in plain numbers, and no more.

        Raises:
            UserError: Names the first tensor that is missing, of another shape, or unknown.
        """
        for name, shape in expected.items():
            if name not in self.shapes:
                raise UserError(f"{self.folder} is not complete: the weights have no {name}.")
            if self.shapes[name] != shape:
                raise UserError(
                    f"{self.folder}: {name} is {_by(self.shapes[name])}, but config.json says "
                    f"{_by(shape)}: they are not of one model."
                )
            kind = self._files[name].get_slice(name).get_dtype()
            if kind not in _TYPES:
                raise UserError(
                    f"{self.folder}: {name} is stored as {kind}; take the model's own weights in "
                    f"{', '.join(_TYPES)}."
                )
        strange = self.shapes.keys() - expected.keys() - ignored
        strange = {name for name in strange if not name.endswith(".rotary_emb.inv_freq")}
        if strange:
            raise UserError(
                f"{self.folder}: the weights have {clean(min(strange))}, for which a model of this "
                "config.json has no place."
            )

    def tensor(self, name: str) -> Tensor:
        """One tensor as it is stored: memory that the file is mapped to, not to be written."""
        tensor: Tensor = self._files[name].get_tensor(name)
        return tensor


def _files(folder: Path) -> list[Path]:
    if (folder / _INDEX).is_file():
        return _indexed(folder)
    if (folder / _WHOLE).is_file():
        return [folder / _WHOLE]
    found = sorted(
        path for path in folder.glob("*.safetensors") if not path.name.startswith(_NOT_READ)
    )
    if not found:
        raise UserError(f"{folder} has no weights as safetensors.")
    return found


def _indexed(folder: Path) -> list[Path]:
    path = folder / _INDEX
    try:
        names = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
        files = [folder / Path(name).name for name in sorted(names)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is no index of weights: download or copy it again.") from None
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} is missing: download or copy the model again.")
    return files


def _by(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "one number"
