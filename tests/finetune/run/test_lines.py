"""What a run tells, as lines on a terminal or as JSON, and how it ends."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from shoritui.finetune.events import (
    DocumentLoss,
    Evaluated,
    Event,
    Failed,
    LevelLowered,
    PlannedTier,
    PreferenceFigures,
    Preparing,
    Replied,
    Reported,
    RunEnded,
    RunStarted,
    Saved,
    Stepped,
    TierEnded,
    TierStarted,
    WorstDocuments,
)
from shoritui.finetune.run.launch import words_of
from shoritui.finetune.run.plain_lines import Lines
from tests.finetune.run.small import write_data

ROOT = Path(__file__).parents[3]
HOSTILE = "\x1b]0;owned\x07\x1b[31mred\nsecond\u202e line"
STEP = Stepped("low", 3, 10, 0.6, 2.5, 7.25e-5, 1.25, 930, 1.5, 2**30, 87.2)


def test_a_step_is_one_line_with_its_figures() -> None:
    [line] = Lines().of(STEP)
    for figure in ("low 3/10", "2.5000", "7.25e-05", "1.25", "620 tokens/s", "1.0 GiB", "1:27"):
        assert figure in line


def test_a_tier_of_preferences_tells_what_it_has_reached() -> None:
    reached = PreferenceFigures(margin=0.25, accuracy=0.8, chosen=1.5, rejected=-1.0)
    for event in (replace(STEP, preference=reached), Evaluated("low", 3, 0.6, True, reached)):
        [line] = Lines().of(event)
        for figure in ("margin 0.250", "accuracy 80%", "drift +1.50 chosen, -1.00 rejected"):
            assert figure in line
    planned = PlannedTier("low", "", 9, 900, 2, 5, False, 0, "preference", 12)
    told = Lines().of(RunStarted("a", "b", "", (planned,)))
    assert "9 preferences in 12 pairs" in told[1]


def test_steps_that_come_too_fast_are_left_out_but_never_the_last() -> None:
    now = 0.0
    lines = Lines(lambda: now)
    assert lines.of(STEP)
    assert not lines.of(STEP)
    last = Stepped("low", 10, 10, 2.0, 2.5, 1e-4, 1.0, 930, 1.5, 1, 0.0)
    assert lines.of(last)
    now = 10.0
    assert lines.of(STEP)


def test_of_what_is_prepared_the_first_and_the_last_word_are_shown() -> None:
    lines = Lines(lambda: 0.0)
    told = [lines.of(Preparing("reading low", done, 9)) for done in range(10)]
    assert [line for each in told for line in each] == ["reading low 0 of 9", "reading low 9 of 9"]


def test_nothing_that_a_model_or_a_file_says_reaches_the_terminal_as_it_is() -> None:
    tier = PlannedTier(HOSTILE, HOSTILE, 1, 2, 3, 4, False, 0)
    events: list[Event] = [
        RunStarted(HOSTILE, HOSTILE, HOSTILE, (tier,)),
        Preparing(HOSTILE, 0, 0),
        TierStarted(HOSTILE, 0, 3, HOSTILE),
        Stepped(HOSTILE, 1, 1, 1.0, 2.0, 1e-4, 1.0, 1, 1.0, 1, 1.0),
        Evaluated(HOSTILE, 1, 2.0, True),
        WorstDocuments(HOSTILE, 1, (DocumentLoss(HOSTILE, 2.0),)),
        Replied(HOSTILE, 1, HOSTILE, HOSTILE),
        LevelLowered(HOSTILE, 1, HOSTILE),
        Saved(HOSTILE, 1),
        TierEnded(HOSTILE, False, HOSTILE, 1.0, 2.0),
        Reported(HOSTILE),
        Failed(HOSTILE),
        RunEnded(False, 1, 2.0, HOSTILE),
    ]
    lines = Lines()
    for event in events:
        for line in lines.of(event):
            assert line.isprintable(), event
            assert "red second line" in line


CONFIG = """
base = "{base}"
[lora]
r = 4
[train]
sequence_len = 160
accumulation = 1
precision = "fp32"
[watch]
evaluate_every = 0
save_every = 2
reply_every = 0
[[tier]]
name = "low"
data = ["data/low/*.txt"]
"""


def test_a_stopped_run_is_named_as_it_was_called() -> None:
    stopped = RunEnded(True, 1, 2.0, "")
    for demo, config, named in [
        (True, "finetune.toml", "`shoritui finetune --demo`"),
        (False, "finetune.toml", "`shoritui finetune`"),
        (False, "my data/f.toml", "`shoritui finetune 'my data/f.toml'`"),
    ]:
        words = words_of(argparse.Namespace(demo=demo, config=Path(config)))
        [line] = Lines(words=words).of(stopped)
        assert named in line


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(base: Path, tmp_path: Path) -> None:
    write_data(tmp_path)
    config = tmp_path / "finetune.toml"
    config.write_text(CONFIG.format(base=base))
    command = [sys.executable, "-m", "shoritui", "finetune", str(config)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, "--plain"], stdout=subprocess.PIPE, text=True, env=environment
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line == "low 2: saved\n":
                child.send_signal(signal.SIGINT)
                break
        rest = child.stdout.read()
    assert child.returncode == 130
    assert f"`shoritui finetune {config}` continues from what was saved" in rest
    done = subprocess.run(
        [*command, "--json"], stdout=subprocess.PIPE, text=True, env=environment, check=True
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    [planned] = next(event for event in events if event["event"] == "runstarted")["tiers"]
    assert planned["resumes_at"] >= 2
    assert events[-1]["event"] == "runended" and not events[-1]["stopped"]
    assert events[-1]["steps"] == planned["steps"] - planned["resumes_at"]


def test_what_is_wrong_in_a_config_is_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    config = tmp_path / "finetune.toml"
    config.write_text('bsae = "demo"\n')
    done = subprocess.run(
        [sys.executable, "-m", "shoritui", "finetune", str(config)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"shoritui: {config}") and "bsae" in done.stderr
    assert len(done.stderr.splitlines()) == 1
