from __future__ import annotations

import math
from pathlib import Path

import pytest

from shoritui.bench import scenes, shapes
from shoritui.engine import Engine, EngineOptions, Finished, Sampling
from shoritui.errors import UserError


@pytest.mark.parametrize("quant", ["q4_0", "q8_0"])
async def test_a_model_of_a_shape_loads_and_writes(quant: shapes.Quant, tmp_path: Path) -> None:
    path = shapes.model_of("tiny", quant, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    engine = Engine()
    try:
        info = await engine.open(path, EngineOptions(n_ctx=512))
        assert info.n_vocab == 32_000 and info.block_tokens
        document = [*scenes.header("a shape", 1), scenes.opened(0)]
        events = [e async for e in engine.generate(document, Sampling(seed=1), max_tokens=8)]
        last = events[-1]
        assert isinstance(last, Finished) and 0 < last.outcome.generated_tokens <= 8
        scores = await engine.score(document, scenes.NAMES)
        assert all(map(math.isfinite, scores)) and len(set(scores)) == len(scores)
    finally:
        await engine.close()


def test_a_model_is_written_once(tmp_path: Path) -> None:
    told: list[str] = []
    path = shapes.model_of("tiny", "q4_0", tmp_path, told.append)
    assert told and told[-1].endswith("100%")
    written = path.stat().st_mtime_ns
    assert shapes.model_of("tiny", "q4_0", tmp_path) == path
    assert path.stat().st_mtime_ns == written


def test_an_interrupted_model_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shapes.model_of("tiny", "q4_0", tmp_path, interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_SPARE_BYTES", 1 << 60)
    with pytest.raises(UserError, match="take a smaller --shape"):
        shapes.model_of("tiny", "q4_0", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_largest_shape_is_a_mistral() -> None:
    tensors = shapes.tensors_of(shapes.SHAPES["7b"], "Q4_0")
    assert 4.0e9 < sum(tensor.size_bytes for tensor in tensors) < 4.2e9
