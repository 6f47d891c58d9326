"""Figures are kept in metrics.jsonl whatever happens, and shown on boards that are at hand."""

from __future__ import annotations

import json
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shoritui.finetune.config.model import Config
from shoritui.finetune.events import (
    DocumentLoss,
    Evaluated,
    Event,
    LevelLowered,
    PreferenceFigures,
    Preparing,
    Replied,
    Reported,
    RunEnded,
    Saved,
    Stepped,
    TierStarted,
    WorstDocuments,
    from_json,
)
from shoritui.finetune.run.metrics import recorded


@pytest.fixture(autouse=True)
def no_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODE", "API_KEY", "PROJECT", "BASE_URL", "NAME"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)


def config(folder: Path) -> Config:
    return Config(folder / "finetune.toml", ())


def stepped(tier: str, step: int, loss: float = 2.0) -> Stepped:
    return Stepped(tier, step, 9, step / 9, loss, 1e-4, 0.5, 100, 0.5, 2**30, 9.0)


def record(folder: Path, *events: Event) -> list[Event]:
    """What is told while a run's events are recorded."""
    told: list[Event] = []
    with recorded(config(folder), told.append) as emit:
        for event in events:
            emit(event)
    return told


def kept(folder: Path) -> list[Event]:
    text = (folder / "adapters" / "metrics.jsonl").read_text("ascii")
    assert not text or text.endswith("\n")
    return [from_json(line) for line in text.splitlines()]


WORST = WorstDocuments("low", 1, (DocumentLoss("a.txt:1", 3.5),))
REPLY = Replied("low", 1, "inn", 'a\n"b" ▀')


def test_figures_are_kept_as_events_and_everything_is_passed_on(tmp_path: Path) -> None:
    reached = PreferenceFigures(0.25, 0.8, 1.5, -1.0)
    figures = (
        *(stepped("low", 1), Evaluated("low", 1, 2.5, True), WORST, REPLY),
        replace(stepped("taste", 1), preference=reached),
        Evaluated("taste", 1, 0.6, True, reached),
    )
    others = (Preparing("reading", 1, 2), TierStarted("low", 0, 9, "inputs"))
    ends = (Saved("low", 1), RunEnded(False, 1, 1.0, "x"))
    lowered = LevelLowered("low", 2, "offload")
    told = record(tmp_path, *others, *figures, lowered, *ends)
    assert told == [*others, *figures, lowered, *ends]
    assert kept(tmp_path) == [*figures, lowered]


def test_a_row_is_on_disk_as_soon_as_it_is_told(tmp_path: Path) -> None:
    with recorded(config(tmp_path), lambda _: None) as emit:
        emit(stepped("low", 1))
        assert kept(tmp_path) == [stepped("low", 1)]


def test_what_goes_on_from_a_saved_step_has_no_step_twice(tmp_path: Path) -> None:
    first = [stepped("low", step, 3.0) for step in range(1, 8)]
    record(tmp_path, stepped("base", 1), TierStarted("low", 0, 9, "inputs"), *first)
    with (tmp_path / "adapters" / "metrics.jsonl").open("a") as file:
        file.write('{"event": "stepped", "tier": "lo')  # a power cut
    again = [stepped("low", step) for step in range(5, 10)]
    on: list[Event] = [TierStarted("low", 4, 9, "inputs"), Evaluated("low", 4, 2.0, True), *again]
    record(tmp_path, *on)
    rows = kept(tmp_path)
    assert rows == [stepped("base", 1), *first[:4], Evaluated("low", 4, 2.0, True), *again]
    record(tmp_path, TierStarted("low", 4, 9, "inputs"), Evaluated("low", 4, 2.0, True))
    assert kept(tmp_path) == rows[:6]


def test_a_tier_that_is_trained_anew_leaves_nothing_of_its_old_rows(tmp_path: Path) -> None:
    record(tmp_path, TierStarted("low", 0, 9, "inputs"), stepped("low", 1), stepped("high", 1))
    record(tmp_path, TierStarted("low", 0, 9, "inputs"))
    assert kept(tmp_path) == [stepped("high", 1)]


def test_nothing_to_train_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    record(tmp_path, stepped("low", 1))
    record(tmp_path, RunEnded(False, 0, 0.0, "x"))
    assert kept(tmp_path) == [stepped("low", 1)]


def test_a_figure_that_is_no_number_is_kept(tmp_path: Path) -> None:
    record(tmp_path, stepped("low", 1, float("nan")), stepped("low", 2, float("inf")))
    assert [str(row.loss) for row in kept(tmp_path) if isinstance(row, Stepped)] == ["nan", "inf"]


def test_a_folder_that_cannot_be_written_is_told_once_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "adapters").write_text("a file is in the way")
    events: list[Event] = [TierStarted("low", 0, 9, "inputs"), stepped("low", 1), stepped("low", 2)]
    told = record(tmp_path, *events)
    news = [event for event in told if isinstance(event, Reported)]
    assert [event for event in told if event not in news] == events
    assert len(news) == 1 and "metrics.jsonl" in news[0].text


def package(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, text: str
) -> Path:
    """A stand-in for a package that need not be installed, and the file that it writes to."""
    calls = folder / f"{name}.calls"
    root = folder / "packages"
    path = root.joinpath(*module.split("."))
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f"""
import json
def note(*words):
    with open({str(calls)!r}, "a") as file:
        file.write(json.dumps(words) + chr(10))
"""
    path.with_suffix(".py").write_text(head + textwrap.dedent(text), encoding="utf-8")
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return calls


def calls_in(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


WANDB = """
class Settings:
    def __init__(self, **fields): pass
class Run:
    def define_metric(self, name, step_metric): pass
    def log(self, row): note("log", row)
    def finish(self): note("finish")
def init(**fields):
    note("init", fields["project"])
    return Run()
"""


def test_wandb_draws_when_it_is_installed_and_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = package(tmp_path, monkeypatch, "wandb", "wandb", WANDB)
    events: list[Event] = [
        TierStarted("low", 0, 9, "inputs"),
        stepped("low", 1),
        Evaluated("low", 1, 2.5, True),
    ]
    record(tmp_path, *events)
    assert calls_in(calls) == []
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("WANDB_API_KEY", "x")
    record(tmp_path, *events)
    assert calls_in(calls) == []
    monkeypatch.setenv("WANDB_MODE", "offline")
    record(tmp_path)
    assert calls_in(calls) == []  # nothing was trained
    told = record(tmp_path, *events, REPLY)
    assert told == [*events, REPLY]
    rows = calls_in(calls)
    assert rows[0] == ["init", "shoritui"] and rows[-1] == ["finish"]
    assert ["log", {"low/loss": 2.0, "low/step": 1}] in rows
    assert ["log", {"low/evaluation": 2.5, "low/step": 1}] in rows
    assert ["log", {"low/reply/inn": REPLY.text, "low/step": 1}] in rows


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise ImportError('built for another Python')", "another Python"),
        ("import sys\nsys.exit('log in first')", "log in first"),
        (WANDB.replace('note("init", fields["project"])', "raise OSError('no network')"), "no net"),
        (WANDB.replace('note("log", row)', "raise ValueError('\\x1b[2Jbad row')"), "bad row"),
        (WANDB.replace('note("finish")', "raise RuntimeError('not sent')"), "not sent"),
    ],
)
def test_a_board_that_breaks_is_told_once_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, why: str
) -> None:
    package(tmp_path, monkeypatch, "wandb", "wandb", text)
    monkeypatch.setenv("WANDB_MODE", "offline")
    events: list[Event] = [
        TierStarted("low", 0, 9, "inputs"),
        *(stepped("low", step) for step in range(1, 9)),
    ]
    told = record(tmp_path, *events)
    news = [event for event in told if isinstance(event, Reported)]
    assert [event for event in told if event not in news] == events
    assert len(news) == 1 and why in news[0].text and "\x1b" not in news[0].text
    assert len(kept(tmp_path)) == 8


TENSORBOARD = """
class SummaryWriter:
    def __init__(self, folder, purge_step): self.folder = folder; note("open", folder, purge_step)
    def add_scalar(self, *words): note(*words)
    def add_text(self, *words): note(*words)
    def close(self): note("close", self.folder)
"""


def test_tensorboard_draws_a_run_for_each_tier_and_forgets_what_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = package(tmp_path, monkeypatch, "tensorboard", "tensorboard", "")
    package(tmp_path, monkeypatch, "shown", "shown", TENSORBOARD)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", __import__("shown"))
    events: list[Event] = [
        TierStarted("low", 4, 9, "inputs"),
        stepped("low", 5),
        Evaluated("low", 5, 2.5, True),
    ]
    record(tmp_path, *events, REPLY)
    rows = calls_in(calls.with_name("shown.calls"))
    folder = str(tmp_path / "adapters" / "tensorboard" / "low")
    assert rows[0] == ["open", folder, 5] and rows[-1] == ["close", folder]
    assert ["loss", 2.0, 5] in rows and ["evaluation", 2.5, 5] in rows
    assert ["memory_gib", 1.0, 5] in rows and ["inn", REPLY.text, 1] in rows


@pytest.mark.parametrize(
    "line",
    [
        *("", "5", "[]", "{}", '{"event": 5}', '{"event": "saved"}', '{"event": ["saved"]}'),
        '{"event": "saved", "tier": "low", "step": "many"}',
        '{"event": "saved", "tier": "low", "step": 1e999}',
        '{"event": "runstarted", "config": "", "base": "", "device": "", "tiers": [{"name": 5}]}',
        '{"event": ' + "[" * 5000,
    ],
    ids=len,
)
def test_a_line_that_is_no_event_is_none(line: str) -> None:
    with pytest.raises(ValueError):
        from_json(line)
