"""How the settings become the engine's options."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoritui.director import engine_options
from shoritui.engine import Adapter
from shoritui.folders import cache_dir
from shoritui.settings import AdapterFile, Settings


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
