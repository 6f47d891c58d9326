"""How a chat begins: with which character for the user, on an engine opened how.

It does not know what happens in the chat.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from shoritui.cards import Card
from shoritui.director.disk import Disk
from shoritui.engine import (
    Adapter,
    AnyEngine,
    Engine,
    EngineOptions,
    EngineState,
    ModelInfo,
    RemoteEngine,
    Server,
)
from shoritui.errors import UserError
from shoritui.settings import AdapterFile, Settings, cache_dir, model_file
from shoritui.story import Chat, Library


def make_engine(
    settings: Settings, on_change: Callable[[EngineState], None] | None = None
) -> AnyEngine:
    """The engine that the settings ask for, a server's or this machine's; nothing is open yet."""
    return RemoteEngine(on_change) if settings.server else Engine(on_change)


async def open_engine(
    engine: AnyEngine, settings: Settings, model: Path | None = None
) -> ModelInfo:
    """Opens what `make_engine` made: the server, or the model that is asked for.

    Raises:
        UserError: There is no such model or server, or it cannot be used.
    """
    if isinstance(engine, RemoteEngine):
        return await engine.open(server(settings))
    assert isinstance(engine, Engine)
    return await engine.open(model_file(model, settings), engine_options(settings))


def server(settings: Settings) -> Server:
    """What the settings say of the server that runs the model.

    Raises:
        UserError: The address is none, or the variable that should hold the key is not set.
    """
    variable = settings.server_key
    key = os.environ.get(variable, "").strip() if variable else ""
    if variable and not key:
        raise UserError(
            "The environment variable that the setting server_key names is not set: put the API "
            "key into it, and its name, never the key itself, into the setting."
        )
    return Server(settings.server, settings.server_model, key, settings.n_ctx)


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
