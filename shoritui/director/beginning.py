"""How a chat begins: with which character for the user, on an engine opened how.

It does not know what happens in the chat.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from shoritui.cards import Card
from shoritui.director.disk import Disk
from shoritui.engine import Adapter, EngineOptions
from shoritui.settings import AdapterFile, Settings, cache_dir
from shoritui.story import Chat, Library


def engine_options(settings: Settings) -> EngineOptions:
    """What the settings say of how a model is loaded."""
    return EngineOptions(
        n_ctx=settings.n_ctx,
        n_threads=settings.n_threads,
        n_gpu_layers=settings.n_gpu_layers,
        kv_type=settings.kv_type,
        context_mode=settings.context_mode,
        adapters=adapters(settings.adapters),
        journal=cache_dir() / "kv" if settings.kv_cache_gb else None,
        journal_bytes=round(settings.kv_cache_gb * 1024**3),
    )


def adapters(files: Iterable[AdapterFile]) -> tuple[Adapter, ...]:
    """The adapters of the settings as the engine takes them."""
    return tuple(Adapter(Path(file.path).expanduser(), file.scale) for file in files)


def default_user(scene: Card) -> str:
    """The name the user speaks as unless told otherwise.

    That is the character marked `user = true`; else the last of the cast; else `You`.
    """
    marked = [c for c in scene.characters if c.user]
    if marked:
        return marked[0].name
    return scene.characters[-1].name if len(scene.characters) > 1 else "You"


async def new_chat(disk: Disk, scene: Card, user: str = "") -> Chat:
    """Begins a chat in the library from a scene."""
    return await disk.run(Library.create_chat, scene, user or default_user(scene))
