"""The LoRA adapters that a model has loaded, and which of them count now."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final

from shoritui.engine.interface import Adapter
from shoritui.engine.llama.adapter_folder import lora_gguf
from shoritui.engine.llama.context import Context, LoadedAdapter
from shoritui.engine.llama.model import Model
from shoritui.engine.llama.probe import ARCHITECTURE, check_adapters
from shoritui.errors import UserError
from shoritui.files import open_file
from shoritui.text import printable

_HEAD: Final = 1 << 20
_SAMPLE: Final = 1 << 16
_SAMPLES: Final = 32


class Adapters:
    """Loads each adapter once; llama.cpp keeps them until the model goes."""

    def __init__(self, model: Model, path: Path, context: Context) -> None:
        self._model = model
        self._path = path
        self._context = context
        self._loaded: dict[bytes, LoadedAdapter] = {}

    def take(self, adapters: Sequence[Adapter]) -> list[bytes | str]:
        """Let these count and no others; returns what tells them, at their scales, from others.

        `UserError` if one cannot be loaded; then nothing changes.
        """
        keys: list[bytes | str] = []
        taken = []
        for adapter in adapters:
            key, loaded = self._load(adapter.path)
            keys += [key, repr(adapter.scale)]
            taken.append((loaded, adapter.scale))
        if not self._context.set_adapters(taken):
            raise UserError("llama.cpp refuses this set of adapters: take fewer or others.")
        return keys

    def _load(self, path: Path) -> tuple[bytes, LoadedAdapter]:
        file = lora_gguf(path, self._path)
        check_adapters([Adapter(file)], self._path, self._model.metadata(ARCHITECTURE) or "")
        key = fingerprint(file)
        if key not in self._loaded:
            try:
                self._loaded[key] = LoadedAdapter(self._model, file)
            except ValueError:
                raise UserError(
                    f"{printable(path)} is no LoRA adapter of {self._model.description}: expected "
                    "one that was made for this very model."
                ) from None
        return key, self._loaded[key]


def fingerprint(path: Path) -> bytes:
    """32 bytes that differ between files of different content, as far as any weights go.

    The size, the first mebibyte (a GGUF's metadata) and samples from everywhere are looked at:
    a training or a quantisation changes all of a model's weights, never only some between them.
    """
    size = path.stat().st_size
    digest = blake2b(size.to_bytes(8, "little"), digest_size=32)
    with open_file(path) as file:
        digest.update(file.read(_HEAD))
        for index in range(1, _SAMPLES + 1):
            file.seek(max(size * index // _SAMPLES - _SAMPLE, 0))
            digest.update(file.read(_SAMPLE))
    return digest.digest()
