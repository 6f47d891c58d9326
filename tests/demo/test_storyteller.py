"""From stories to the adapter that a chat loads, by the one command, on the real base."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoritui.demo.making.storyteller import main
from shoritui.engine import Engine, EngineOptions, Finished, Sampling, Segment
from shoritui.models import storyteller
from tests import smollm2
from tests.eval.stories import LOCK

pytestmark = pytest.mark.slow

CONFIG = """\
base = {{ model = "{base}", quantize = "none" }}
lora = {{ r = 4, alpha = 8, dropout = 0.0 }}
train = {{ sequence_len = 512, epochs = 1, accumulation = 1 }}
watch = {{ save_every = 1, reply_every = 0, device = "cpu" }}
data = {{ learn = ["message"], evaluation = 0.0 }}

[[tier]]
name = "low"
data = ["low/*.txt"]
learning_rate = 1e-3
"""


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    """A folder like that of the stories that ship: one story, one step."""
    folder = tmp_path / "stories"
    (folder / "low").mkdir(parents=True)
    (folder / "low" / "lock.txt").write_text(LOCK, encoding="utf-8")
    config = CONFIG.format(base=smollm2.installed().as_posix())
    (folder / "finetune.toml").write_text(config, encoding="utf-8")
    return folder


async def test_one_command_makes_an_adapter_that_a_chat_loads(
    stories: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    work, out = tmp_path / "work", tmp_path / "adapter.gguf"
    command = ["--stories", str(stories), "--work", str(work), "--out", str(out)]
    assert main(command) == 0
    assert "low 1/1" in capfd.readouterr().out
    monkeypatch.setattr(storyteller, "smollm2", smollm2.installed)
    monkeypatch.setattr(storyteller, "adapter_path", lambda: out)
    engine = Engine()
    await engine.open(storyteller.shipped_model(), EngineOptions(n_ctx=256, n_threads=1))
    try:
        document = [Segment("▀message (length: nano)\nAda:")]
        events = [e async for e in engine.generate(document, Sampling(), max_tokens=2)]
    finally:
        await engine.close()
    assert isinstance(events[-1], Finished) and events[-1].outcome.generated_tokens
