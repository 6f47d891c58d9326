"""The storyteller: SmolLM2 and the adapter that ships, made into one file once and kept.

One file runs half as fast again as a base with an adapter on it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from shoritui.demo import SMOLLM2_INSTALL, adapter_path, model_path, smollm2
from shoritui.files import check_space, content_of, kept_folder
from shoritui.folders import cache_dir

NAME: Final = "shori-storyteller"
"""The name of its file."""
_BETTER: Final = f"A storyteller that makes more sense: {SMOLLM2_INSTALL}"
_VERSION: Final = 1
"""Of how it is made: where it changes, it is made anew."""
_ROOM: Final = 200 * 2**20


def shipped_model(report: Callable[[int, int], None] | None = None) -> Path:
    """Return the storyteller where its base is installed, else the small model that ships.

    It is made first if it has not been, in a few seconds; `report` hears bytes done and of all.

    Raises:
        UserError: The cache has no room for it, or cannot be written.
    """
    base, path = _base(), storyteller_path()
    if base is None or path is None:
        return model_path()
    kept = path.parent

    def fill(folder: Path) -> None:
        from shoritui.gguf.merge import write_merged  # needs numpy

        check_space(kept.parent, _ROOM, "the storyteller")
        write_merged(folder / path.name, base, adapter_path(), report)

    kept_folder(kept, fill)
    for other in kept.parent.iterdir():  # what an earlier adapter made
        if other != kept and len(other.name) == len(kept.name):
            shutil.rmtree(other, ignore_errors=True)
    return path


def making(done: int, total: int) -> str:
    """Return what to say while it is made, with the bytes done and of all."""
    return f"making the storyteller, {done / total:.0%}"


def shipped_path() -> Path:
    """Return the path of what `shipped_model` returns, whether or not it has been made."""
    return storyteller_path() or model_path()


def better(chosen: str) -> str:
    """Return what would write better, in a sentence; "" where a model is chosen, or it is there."""
    return "" if chosen or _base() is not None else _BETTER


def storyteller_path() -> Path | None:
    """Return where it is kept, or will be once it is made; None without its base or adapter."""
    base, adapter = _base(), adapter_path()
    if base is None:
        return None
    changed = adapter.stat().st_mtime_ns
    name = _digest(adapter, changed, base.stat().st_size)
    return cache_dir() / "storyteller" / name / f"{NAME}.gguf"


@cache
def _digest(adapter: Path, changed: int, base_bytes: int) -> str:
    digest = hashlib.sha256(content_of(adapter))
    digest.update(f"{base_bytes} {_VERSION}".encode())
    return digest.hexdigest()[:16]


def _base() -> Path | None:
    """Return its base; None where that or the adapter is missing."""
    return smollm2() if adapter_path().is_file() else None
