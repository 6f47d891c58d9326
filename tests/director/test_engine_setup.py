"""How the settings become the engine's options."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shoritui.demo import model_path
from shoritui.director import (
    Director,
    Disk,
    Failed,
    Removed,
    TurnEnded,
    engine_options,
    new_chat,
    open_engine,
)
from shoritui.engine import Adapter, Engine, presets
from shoritui.errors import UserError
from shoritui.folders import cache_dir
from shoritui.settings import AdapterFile, Settings
from tests.director.conftest import SCENE, read


def test_the_settings_say_how_a_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path))
    options = engine_options(
        Settings(
            n_ctx=4096,
            kv_type="q8_0",
            context_mode="shift",
            kv_cache_gb=0.5,
            adapters=[AdapterFile("~/noir.gguf", 0.5)],
        )
    )
    assert (options.n_ctx, options.kv_type, options.context_mode) == (4096, "q8_0", "shift")
    assert options.adapters == (Adapter(Path.home() / "noir.gguf", 0.5),)
    assert options.kv_store == cache_dir() / "kv" and options.kv_store_bytes == 2**29
    assert engine_options(Settings(kv_cache_gb=0)).kv_store is None


async def is_busy(director: Director) -> None:
    while not director.busy:
        await asyncio.sleep(0)


async def test_a_reply_waits_for_a_model_that_is_about_to_be_opened(tmp_path: Path) -> None:
    engine, disk = Engine(), await Disk.open(tmp_path / "library.db")
    settings = Settings(model=str(model_path()), n_ctx=2048, max_tokens=16)
    try:
        director = await Director.open(
            disk, await new_chat(disk, SCENE), engine, settings, presets(None)[0]
        )
        [failed] = await read(director.reply("Mara"))
        assert failed == Failed("No model is open.")

        engine.expecting = True
        stopped = asyncio.create_task(read(director.reply("Mara")))
        await is_busy(director)
        await director.stop()
        assert await stopped == []

        waiting = asyncio.create_task(read(director.reply("Mara")))
        await is_busy(director)
        await open_engine(engine, settings)
        assert any(isinstance(event, TurnEnded | Removed) for event in await waiting)
    finally:
        await engine.close()
        await disk.close()


async def test_nobody_waits_for_a_model_that_cannot_be_opened(tmp_path: Path) -> None:
    engine = Engine()
    with pytest.raises(UserError):
        await open_engine(engine, Settings(model=str(tmp_path / "none.gguf")))
    assert not engine.expecting
