"""The LoRA adapters that a model has loaded, and which of them count now.

It does not know what they change; whoever caches results asks for `take`'s keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shoritui.engine.context import Context, LoadedAdapter
from shoritui.engine.fingerprint import fingerprint
from shoritui.engine.interface import Adapter
from shoritui.engine.loading import check_adapters
from shoritui.engine.model import Model
from shoritui.errors import UserError


class Adapters:
    """Loads each adapter once; llama.cpp keeps them until the model goes."""

    def __init__(self, model: Model, context: Context) -> None:
        self._model = model
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
        check_adapters(self._model.metadata("general.architecture") or "", [Adapter(path)])
        key = fingerprint(path)
        if key not in self._loaded:
            try:
                self._loaded[key] = LoadedAdapter(self._model, path)
            except ValueError:
                raise UserError(
                    f"{path} is no LoRA adapter of {self._model.description}: expected a GGUF "
                    "adapter that was made for this very model."
                ) from None
        return key, self._loaded[key]
