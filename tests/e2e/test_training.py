"""A person trains at a terminal: watches, stops, goes on; and what kills the terminal."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.e2e.terminal import PATIENCE, Terminal
from tests.e2e.test_story import children, is_running, wait_until_gone
from tests.finetune.run.small import make_base, write_data

pytestmark = pytest.mark.slow

FINETUNE = (sys.executable, "-P", "-m", "shoritui", "finetune")
LONG_ENOUGH = 10
"""Epochs in which a run can be stopped before it ends, and whose rest is soon done."""
CONFIG = """
base = "base"
[lora]
r = 4
[train]
learning_rate = 2e-3
sequence_len = 160
accumulation = 1
epochs = 1
precision = "fp32"
[data]
evaluation = 0.1
[watch]
evaluate_every = 2
save_every = 2
reply_every = 4
device = "cpu"
[[prompt]]
name = "lamps"
speaker = "Mara"
length = "nano"
text = "▀title\\nThe lamps▄\\n"
[[tier]]
name = "low"
data = ["data/low/*.txt"]
epochs = {epochs}
[[tier]]
name = "high"
data = ["data/high/*.txt"]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a small base, data and a config, where a user stands."""
    folder = tmp_path / "work"
    (folder / "base").mkdir(parents=True)
    make_base(folder / "base")
    write_data(folder)
    return folder


def terminal(place: Path, *words: str, epochs: int, columns: int = 120, rows: int = 40) -> Terminal:
    config = place / "finetune.toml"
    config.write_text(CONFIG.format(epochs=epochs), encoding="utf-8")
    env = {
        "SHORITUI_HOME": str(place.parent / "home"),
        "TEXTUAL_ANIMATIONS": "none",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    return Terminal((*FINETUNE, str(config), *words), columns=columns, rows=rows, env=env)


def steps(place: Path) -> list[tuple[str, int]]:
    """Tier and step of each step in the figures that were kept."""
    rows = map(json.loads, (place / "adapters" / "metrics.jsonl").read_text().splitlines())
    return [(row["tier"], row["step"]) for row in rows if row["event"] == "stepped"]


def test_a_run_is_watched_stopped_gone_on_with_and_then_nothing_is_left_to_do(place: Path) -> None:
    with terminal(place, epochs=LONG_ENOUGH) as screen:
        screen.wait_for(lambda text: "● low" in text and "training low" in text)
        screen.wait_for("lamps")
        worker = children(screen.process)
        screen.press("ctrl+c")
        screen.wait_for("continues from what was saved")
        screen.press("q")
        assert screen.wait_until_ended() == 130
        assert b"\x1b[?1049l" in screen.output and b"Stopped: " in screen.output
        wait_until_gone(worker)
    first = steps(place)
    with terminal(place, epochs=LONG_ENOUGH, columns=80, rows=24) as screen:
        screen.wait_for("Trained", 300)
        screen.wait_for("q leave")
        screen.press("q")
        assert screen.wait_until_ended() == 0
        last = screen.output[screen.output.rindex(b"\x1b[?1049l") :].decode()
        assert "shoritui finetune export" in last and "\x1b[3" not in last
    done = steps(place)
    assert done[: len(first)] == first and len(set(done)) == len(done)
    low = [step for tier, step in done if tier == "low"]
    assert low == list(range(1, len(low) + 1)) and {tier for tier, _ in done} == {"low", "high"}
    assert (place / "adapters" / "high" / "adapter_model.safetensors").exists()
    with terminal(place, epochs=LONG_ENOUGH, columns=60, rows=20) as screen:
        screen.wait_for("nothing was trained")
        screen.press("ctrl+q")
        assert screen.wait_until_ended() == 0
    assert steps(place) == done


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_when_its_terminal_dies_a_run_saves_and_ends(place: Path, number: signal.Signals) -> None:
    with terminal(place, epochs=500) as screen:
        screen.wait_for("training low")
        screen.wait_for("lamps")
        (worker,) = children(screen.process)
        if number == signal.SIGKILL:
            os.kill(worker, signal.SIGSTOP)  # nor does one outlive it that stands still
        os.kill(screen.process.pid, number)
        screen.wait_until_ended()
        wait_until_gone([worker])
        assert not is_running(worker)
    count = len(steps(place))
    if number != signal.SIGKILL:
        return  # one of them is enough to see that the next run goes on
    with terminal(place, epochs=500) as screen:
        screen.wait_for("training low")
        screen.wait_for(lambda _: len(steps(place)) > count)
        assert steps(place) == [("low", step) for step in range(1, len(steps(place)) + 1)]
        screen.press("ctrl+q")
        screen.wait_until_ended()


def test_a_run_ends_with_a_terminal_that_no_signal_tells_of(place: Path) -> None:
    with terminal(place, epochs=500) as screen:
        screen.wait_for("training low")
        (worker,) = children(screen.process)
        screen.hang_up()
        screen.process.wait(PATIENCE)
        wait_until_gone([worker])


def test_what_is_wrong_with_a_config_is_told_on_the_normal_screen(place: Path) -> None:
    with terminal(place, epochs=-1) as screen:
        screen.wait_until_ended()
        assert screen.process.returncode == 1
        assert "epochs" in screen.text and "finetune.toml" in screen.text
        assert b"\x1b[?1049h" not in screen.output
