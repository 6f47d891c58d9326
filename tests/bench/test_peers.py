from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shoritui.bench import peers
from shoritui.benchmark import Unmeasurable
from shoritui.demo import model_path
from shoritui.engine import EngineOptions, ModelInfo, inspect_model

PROMPT = list(range(300, 320))


@pytest.fixture(scope="module")
def info() -> ModelInfo:
    return inspect_model(model_path(), EngineOptions(n_ctx=256, n_threads=1))


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
async def test_the_c_program_writes_replies(info: ModelInfo) -> None:
    async with peers.decode_loop(info, 32, 256) as loop:
        assert loop.name == "a C program"
        assert await loop.rate(PROMPT, 8) > 0
        assert await loop.rate(PROMPT[:3], 16) > 0
    assert loop.process.returncode is not None


async def test_without_a_compiler_the_same_loop_runs_in_python(
    info: ModelInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with peers.decode_loop(info, 32, 256) as loop:
        assert "no C compiler" in loop.name
        assert await loop.rate(PROMPT, 8) > 0


async def test_the_high_level_api_writes_replies_of_the_same_length(info: ModelInfo) -> None:
    async with peers.high_level(info, 32, 256) as peer:
        assert await peer.rate(PROMPT, 16) > 0


async def test_a_peer_that_ends_is_told(info: ModelInfo) -> None:
    async with peers.high_level(info, 32, 256) as peer:
        with pytest.raises(Unmeasurable, match="ended"):
            await peer.rate([10**9], 4)
