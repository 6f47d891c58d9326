"""A PEFT folder as a LoRA GGUF for the model that is loaded, made once and kept in the cache.

cache/adapters/3f0c…/adapter.gguf    named by what the folder holds, and the model's layout
"""

from __future__ import annotations

import hashlib
import os
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Final

from shoritui.errors import UserError
from shoritui.files import check_space, kept_folder, open_file, why
from shoritui.folders import cache_dir
from shoritui.text import printable

_VERSION: Final = 1
"""Of how it is made: where it changes, it is made anew."""
_KEPT: Final = 8
"""Adapters, those that were used last."""
_NAME_LENGTH: Final = 32


def lora_gguf(path: Path, model: Path) -> Path:
    """Return an adapter's file: the path itself, or what a PEFT folder is for this model.

    `UserError` if the folder holds no adapter of such a model, or the cache cannot be written.
    """
    if not path.is_dir():
        return path
    from shoritui.gguf.lora.peft import files_of  # needs numpy

    try:
        stamps = [(file, _stamp(file)) for file in (*files_of(path), model)]
        kept = cache_dir() / "adapters" / _digest(path, tuple(stamps))
        made = kept / "adapter.gguf"
        kept_folder(kept, lambda beside: _make(path, model, beside / made.name))
        os.utime(kept)
        _tidy(kept.parent)
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be converted: {why(error)}.") from None
    return made


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=64)
def _digest(folder: Path, stamps: tuple[tuple[Path, object], ...]) -> str:
    """Return the name of what is made; the last of the files is the model."""
    from shoritui.gguf.lora.layout import base_of

    *files, (model, _) = stamps
    digest = hashlib.sha256(f"{_VERSION} {base_of(model)}".encode())
    for path, _ in files:
        with open_file(path) as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:_NAME_LENGTH]


def _make(folder: Path, model: Path, path: Path) -> None:
    from shoritui.gguf.lora.layout import base_of
    from shoritui.gguf.lora.peft import read_peft
    from shoritui.gguf.lora.write import write_lora
    from shoritui.gguf.write import About

    adapter = read_peft(folder)
    path.parent.chmod(0o700)
    check_space(path.parent, adapter.size_bytes, "the adapter as a GGUF")
    write_lora(path, adapter, base_of(model), About("adapter", "Made of a PEFT folder."))
    path.chmod(0o600)


def _tidy(place: Path) -> None:
    """Remove all but those that were used last."""
    kept = sorted(place.glob("[0-9a-f]*/"), key=lambda folder: -folder.stat().st_mtime)
    for folder in kept[_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
