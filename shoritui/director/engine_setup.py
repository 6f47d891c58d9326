"""The engine that the settings ask for: a server's, or one on this machine with its options."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from shoritui.engine import (
    Adapter,
    AnyEngine,
    Engine,
    EngineOptions,
    EngineState,
    ModelInfo,
    RemoteEngine,
    Server,
    WorkerDied,
)
from shoritui.errors import UserError
from shoritui.folders import cache_dir, user_path
from shoritui.models import making, model_file
from shoritui.settings import AdapterFile, Settings


def make_engine(
    settings: Settings, on_change: Callable[[EngineState], None] | None = None
) -> AnyEngine:
    """Return the engine that the settings ask for, a server's or this machine's, not yet open."""
    return RemoteEngine(on_change) if settings.server else Engine(on_change)


async def open_engine(
    engine: AnyEngine,
    settings: Settings,
    model: Path | None = None,
    report: Callable[[int, int], None] | None = None,
) -> ModelInfo:
    """Open what `make_engine` made: the server, or the model that is asked for.

    `report` hears how far the model that ships is made, as that of `shipped_model`.

    Raises:
        UserError: There is no such model or server, or it cannot be used.
    """
    engine.expecting = True
    try:
        return await _open(engine, settings, model, report)
    finally:
        engine.expecting = False


async def _open(
    engine: AnyEngine,
    settings: Settings,
    model: Path | None,
    report: Callable[[int, int], None] | None,
) -> ModelInfo:
    if isinstance(engine, RemoteEngine):
        return await engine.open(_server(settings))
    assert isinstance(engine, Engine)
    loop = asyncio.get_running_loop()

    def made(done: int, total: int) -> None:
        loop.call_soon_threadsafe(engine.wait, making(done, total))
        if report is not None:
            report(done, total)

    path = await asyncio.to_thread(model_file, model, settings.model, made)
    return await engine.open(path, await asyncio.to_thread(engine_options, settings))


def load_failure(error: UserError) -> str:
    """Return what to say of a model that could not be opened."""
    is_tried_again = isinstance(error, WorkerDied)
    return f"{error} The next turn tries once more." if is_tried_again else str(error)


def is_same_engine(one: Settings, other: Settings) -> bool:
    """Return whether two settings ask for the same model, loaded in the same way."""
    places = ((each.server, each.server_model, each.server_key) for each in (one, other))
    if len(set(places)) > 1:
        return False
    if one.server:
        return one.n_ctx == other.n_ctx
    return one.model == other.model and engine_options(one) == engine_options(other)


def _server(settings: Settings) -> Server:
    """Return what the settings say of the server that runs the model.

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
    """Return what the settings say of how a model is loaded."""
    return EngineOptions(
        n_ctx=settings.n_ctx,
        n_threads=settings.n_threads,
        n_gpu_layers=settings.n_gpu_layers,
        kv_type=settings.kv_type,
        context_mode=settings.context_mode,
        adapters=adapters(settings.adapters),
        kv_store=cache_dir() / "kv" if settings.kv_cache_gb else None,
        kv_store_bytes=round(settings.kv_cache_gb * 1024**3),
    )


def adapters(files: Iterable[AdapterFile]) -> tuple[Adapter, ...]:
    """Return the adapters of the settings as the engine takes them."""
    return tuple(Adapter(user_path(file.path), file.scale) for file in files)
