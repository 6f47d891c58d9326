from __future__ import annotations

import itertools
import json
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from shoritui.errors import UserError
from shoritui.finetune.config.model import Config, Lora
from shoritui.finetune.events import (
    Evaluated,
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
from shoritui.finetune.model.adapter import load
from shoritui.finetune.run.plain_lines import Lines
from shoritui.finetune.run.train import train
from shoritui.folders import HOME_VARIABLE
from tests.finetune.run.small import (
    NAMES,
    QUICK,
    adapter_of,
    adapters_of,
    make_config,
    run,
    steps_of,
    with_train,
    write_data,
)

STEPS = 5
CARD = replace(QUICK, optimizer="adamw8bit", epochs=2)


@pytest.fixture
def config(tmp_path: Path, base: Path) -> Config:
    write_data(tmp_path)
    return make_config(tmp_path, base)


def elsewhere(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """An empty cache."""
    monkeypatch.setenv(HOME_VARIABLE, str(folder))


def one_tier(config: Config) -> Config:
    return replace(config, tiers=config.tiers[:1])


def stop_at(asked: int) -> Callable[[], bool]:
    """Says yes when it is asked for that time, and from then on."""
    times = itertools.count(1)
    return lambda: next(times) >= asked


def test_a_run_trains_every_tier_and_puts_its_adapter_where_the_config_says(config: Config) -> None:
    heard = run(config)
    assert isinstance(heard.of(RunStarted)[0], RunStarted)
    assert steps_of(heard) == [(name, step) for name in NAMES for step in range(1, STEPS + 1)]
    assert heard[-1] == heard.of(RunEnded)[0]
    assert heard.of(RunEnded)[0].adapter == str(config.path.parent / "adapters" / "top")
    for ended in heard.of(TierEnded):
        saved = load(Path(ended.adapter))
        assert saved.lora.r == 4
        assert not ended.cached
    losses = [step.loss for step in heard.of(Stepped)]
    assert losses[-1] < losses[0] - 0.2
    assert heard.of(Stepped)[-1].seconds_left == 0
    assert {document.source for document in heard.of(WorstDocuments)[-1].documents} <= {
        f"data/top/{number}.txt:1" for number in range(10)
    }


def test_a_tier_that_is_the_same_as_another_is_trained_with_it_and_called_so(
    config: Config,
) -> None:
    low = config.tiers[0]
    heard = run(replace(config, tiers=(low, replace(low, name="twin"))))
    started = heard.of(RunStarted)[0]
    assert [tier.same_as for tier in started.tiers] == ["", "low"]
    told = Lines().of(started)
    assert told[1].endswith(": to train") and told[2].endswith(": the same as low")
    assert {tier for tier, _ in steps_of(heard)} == {"low"}
    assert heard.of(Stepped)[-1].seconds_left == 0
    assert adapter_of(config, "twin") == adapter_of(config, "low")


def test_what_has_not_changed_is_not_trained_again_and_torch_is_not_even_imported(
    config: Config,
) -> None:
    run(config)
    before = adapters_of(config)
    program = (
        "import pickle, sys\n"
        "from shoritui.finetune.run.train import train\n"
        "heard = []\n"
        "train(pickle.load(sys.stdin.buffer), heard.append, lambda: False)\n"
        "assert 'torch' not in sys.modules\n"
        "print(heard[-1].steps, [e.cached for e in heard if type(e).__name__ == 'TierEnded'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(config), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "0 [True, True, True]"
    assert adapters_of(config) == before


@pytest.mark.slow
def test_a_changed_file_retrains_its_tier_and_those_after_it(config: Config) -> None:
    run(config)
    before = adapters_of(config)
    file = config.path.parent / "data" / "high" / "4.txt"
    file.write_text(file.read_text("utf-8").replace("lamps", "lanterns"), encoding="utf-8")
    heard = run(config)
    assert {tier for tier, _ in steps_of(heard)} == {"high", "top"}
    assert [(ended.tier, ended.cached) for ended in heard.of(TierEnded)] == [
        ("low", True),
        ("high", False),
        ("top", False),
    ]
    after = adapters_of(config)
    assert after["low"] == before["low"]
    assert after["high"] != before["high"] and after["top"] != before["top"]


def test_a_file_that_is_only_renamed_retrains_nothing(config: Config) -> None:
    run(one_tier(config))
    folder = config.path.parent / "data" / "low"
    (folder / "4.txt").rename(folder / "another.txt")
    assert steps_of(run(one_tier(config))) == []


def test_an_adapter_that_was_removed_from_the_output_is_put_back(config: Config) -> None:
    run(one_tier(config))
    before = adapter_of(config, "low")
    place = config.path.parent / "adapters" / "low"
    (place / "notes.txt").write_text("mine")
    (place / "adapter_model.safetensors").write_bytes(b"torn")
    assert steps_of(run(one_tier(config))) == []
    assert adapter_of(config, "low") == before
    assert (place / "notes.txt").read_text() == "mine"


def test_a_damaged_tier_in_the_cache_is_trained_anew(config: Config, home: Path) -> None:
    run(one_tier(config))
    before = adapter_of(config, "low")
    [weights] = home.rglob("trained/adapter/adapter_model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    heard = run(one_tier(config))
    assert len(steps_of(heard)) == STEPS
    assert "damaged" in heard.of(Reported)[0].text
    assert adapter_of(config, "low") == before


@pytest.mark.slow
@pytest.mark.parametrize("asked", [6, 8, 13, 20])
def test_stopped_anywhere_and_gone_on_is_as_if_never_stopped(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    config = replace(one_tier(with_train(config, "low", epochs=2)), lora=Lora(r=64, alpha=64.0))
    config = with_train(config, "low", optimizer="adamw8bit")
    heard = run(config, stop_at(asked))
    ended = heard[-1]
    assert isinstance(ended, RunEnded) and ended.stopped
    done = steps_of(heard)
    rest = run(config)
    assert done + steps_of(rest) == [("low", step) for step in range(1, 2 * STEPS + 1)]
    if done:
        assert heard[-2] == Saved("low", len(done)) or Saved("low", len(done)) in heard
        assert rest.of(TierStarted)[0].step == len(done)
        assert rest.of(RunStarted)[0].tiers[0].resumes_at == len(done)
    stopped = adapter_of(config, "low")
    elsewhere(monkeypatch, tmp_path / "unbroken")
    unbroken = run(config)
    assert adapter_of(config, "low") == stopped
    assert [*heard.of(Evaluated), *rest.of(Evaluated)] == unbroken.of(Evaluated)


def test_a_state_that_an_older_version_saved_is_gone_on_from(config: Config, home: Path) -> None:
    run(one_tier(config), stop_at(13))
    (seal,) = home.rglob("state-*/meta.json")
    seal.write_text(seal.read_text().replace('"level"', '"rung"'))
    assert run(one_tier(config)).of(TierStarted)[0].step > 0


UNTIL_KILLED = """
import os, pickle, signal, sys
from shoritui.finetune.events import Stepped
from shoritui.finetune.run.train import train
import torch
torch.set_num_threads(1)
last = int(sys.argv[1])
def emit(event):
    if isinstance(event, Stepped) and event.step == last:
        os.kill(os.getpid(), signal.SIGKILL)
train(pickle.load(sys.stdin.buffer), emit, lambda: False)
"""


@pytest.mark.slow
def test_killed_and_gone_on_is_as_if_never_killed(
    config: Config, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = one_tier(make_config(tmp_path, base, CARD))
    config = replace(config, base=replace(config.base, quantize="nf4"), lora=Lora(r=64))
    killed = subprocess.run(
        [sys.executable, "-c", UNTIL_KILLED, "5"], input=pickle.dumps(config), check=False
    )
    assert killed.returncode == -signal.SIGKILL
    rest = run(config)
    assert rest.of(TierStarted)[0].step == 4
    found = adapter_of(config, "low")
    elsewhere(monkeypatch, tmp_path / "unbroken")
    run(config)
    assert adapter_of(config, "low") == found


def test_evaluation_and_replies_change_nothing(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = one_tier(config)
    seldom = replace(config.watch, evaluate_every=0, reply_every=0, save_every=0)
    run(replace(config, watch=seldom))
    expected = adapter_of(config, "low")
    elsewhere(monkeypatch, tmp_path / "again")
    heard = run(replace(config, watch=replace(config.watch, evaluate_every=1, reply_every=3)))
    assert len(heard.of(Evaluated)) == STEPS
    assert [reply.step for reply in heard.of(Replied)] == [3, STEPS]
    assert adapter_of(config, "low") == expected


def test_replies_are_the_same_for_the_same_adapter_and_step(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(one_tier(config), watch=replace(config.watch, reply_every=STEPS))
    first = run(config).of(Replied)
    elsewhere(monkeypatch, tmp_path / "again")
    assert run(config).of(Replied) == first
    assert first[0].text


def test_packs_of_a_step_may_be_one_by_one_or_at_once(config: Config) -> None:
    run(one_tier(config))
    again = one_tier(with_train(config, "low", accumulation=1, micro_batch=2))
    assert steps_of(run(again)) == []


@pytest.mark.slow
def test_the_best_adapter_goes_on_where_that_is_wanted(config: Config) -> None:
    worse = one_tier(with_train(config, "low", learning_rate=1.0, epochs=2, sequence_len=80))
    watch = replace(worse.watch, evaluate_every=1)
    last = replace(worse, watch=watch)
    heard = run(last)
    best = min(heard.of(Evaluated), key=lambda event: event.loss)
    assert best.step < heard.of(Evaluated)[-1].step, "the rate must be so high that it gets worse"
    place = config.path.parent / "adapters" / "low"
    kept = adapter_of(last, "low")
    beside = (place / "best" / "adapter_model.safetensors").read_bytes()
    run(with_train(last, "low", keep="best"))
    assert (place / "adapter_model.safetensors").read_bytes() == beside
    assert not (place / "best").exists()
    other = replace(last, output="adapters/low")
    (place / "last").rename(place / "low")
    assert adapter_of(other, "low") == kept


def test_a_best_adapter_that_is_damaged_is_not_replaced_by_another(
    config: Config, home: Path
) -> None:
    worse = one_tier(with_train(config, "low", learning_rate=1.0, epochs=2, sequence_len=80))
    worse = replace(worse, watch=replace(worse.watch, evaluate_every=1))

    def damage() -> bool:
        for weights in home.rglob("best-*/adapter/adapter_model.safetensors"):
            weights.write_bytes(b"torn")
        return False

    with pytest.raises(UserError, match="the best one, is damaged"):
        run(worse, damage)


@pytest.mark.parametrize("says", [{"vocab_size": 300}, {"text_config": {"vocab_size": 300}}])
def test_a_tokenizer_of_another_base_is_told(
    says: dict[str, Any], config: Config, base: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(base, other)
    facts = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**facts, **says}))
    with pytest.raises(UserError, match="a vocab_size of 300"):
        run(replace(config, base=replace(config.base, model=str(other))))


def test_what_the_user_put_beside_an_adapter_outlives_a_power_cut(config: Config) -> None:
    run(one_tier(config))
    before = adapter_of(config, "low")
    place = config.path.parent / "adapters" / "low"
    aside = place.with_name(".low.old")
    aside.mkdir()  # the power went before what is in the old folder was moved
    (aside / "notes.txt").write_text("mine")
    (aside / "adapter_model.safetensors").write_bytes(b"old")
    (place / "adapter_model.safetensors").write_bytes(b"torn")
    assert steps_of(run(one_tier(config))) == []
    assert adapter_of(config, "low") == before
    assert (place / "notes.txt").read_text() == "mine"
    assert not aside.exists()


def test_an_optimizer_may_be_carried_on(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = replace(config, tiers=config.tiers[:2])
    run(two)
    fresh = adapter_of(two, "high")
    heard = run(with_train(two, "high", carry_optimizer=True))
    assert {tier for tier, _ in steps_of(heard)} == {"high"}
    assert adapter_of(two, "high") != fresh
    with pytest.raises(UserError, match="carries on the optimizer of low, which is adamw:"):
        run(with_train(two, "high", carry_optimizer=True, optimizer="adamw8bit"))


def test_two_runs_do_not_train_the_same_tier(config: Config) -> None:
    def emit(event: object) -> None:
        if isinstance(event, TierStarted):
            run(config)

    with pytest.raises(UserError, match="another run"):
        train(config, emit, lambda: False)


def test_a_gpu_that_is_not_there_is_told(config: Config) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(UserError, match="no GPU"):
        run(replace(config, watch=replace(config.watch, device="cuda")))
