"""A tier that learns preferences: from its files to an adapter that shares them."""

from __future__ import annotations

import math
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shoritui.errors import UserError
from shoritui.finetune.config.model import Config, Data, Lora, Preference, Tier
from shoritui.finetune.events import (
    Evaluated,
    Preparing,
    Replied,
    RunEnded,
    RunStarted,
    Stepped,
    TierEnded,
    TierStarted,
    WorstDocuments,
)
from tests.finetune.run.small import (
    QUICK,
    adapter_of,
    make_config,
    run,
    steps_of,
    with_train,
    write_data,
    write_swipes,
)
from tests.finetune.run.test_train import UNTIL_KILLED, elsewhere, stop_at

ROWS = 24
STEPS = 6
"""22 pairs to learn from, two in a pack, two packs a step."""
TASTE = replace(QUICK, learning_rate=1e-2, sequence_len=512)


@pytest.fixture
def config(tmp_path: Path, base: Path) -> Config:
    """One tier of conversations, and one of preferences after it."""
    write_data(tmp_path)
    write_swipes(tmp_path, ROWS)
    made = make_config(tmp_path, base)
    taste = Tier(
        name="taste",
        files=("swipes.jsonl",),
        after="low",
        train=TASTE,
        data=Data(evaluation=2),
        kind="preference",
        preference=Preference(beta=0.5, pairs=2),
    )
    return replace(made, tiers=(made.tiers[0], taste))


def alone(config: Config) -> Config:
    """The tier of preferences on the bare base."""
    return replace(config, tiers=(replace(config.tiers[1], after=""),))


def test_the_adapter_comes_to_share_the_preference(config: Config) -> None:
    config = with_train(config, "taste", epochs=2)
    heard = run(config)
    planned = heard.of(RunStarted)[0].tiers[1]
    assert (planned.conversations, planned.pairs, planned.steps) == (ROWS, ROWS - 2, 2 * STEPS)
    assert (planned.kind, heard.of(RunStarted)[0].tiers[0].kind) == ("preference", "conversation")
    steps = [step for step in heard.of(Stepped) if step.tier == "taste"]
    assert len(steps) == 2 * STEPS
    assert all(step.preference is None for step in heard.of(Stepped) if step.tier == "low")
    first, last = steps[0], steps[-1]
    assert first.preference and last.preference
    # dropout alone tells the first step's messages apart from the reference's
    assert first.loss == pytest.approx(math.log(2), abs=0.1)
    assert last.loss < 0.3
    assert last.preference.accuracy == 1.0
    assert last.preference.margin == pytest.approx(
        0.5 * (last.preference.chosen - last.preference.rejected)
    )
    held = [one for one in heard.of(Evaluated) if one.tier == "taste"]
    assert held[-1].preference and held[-1].preference.accuracy == 1.0
    assert held[-1].loss < held[0].loss
    assert heard.of(TierEnded)[-1].evaluation == min(one.loss for one in held)
    worst = heard.of(WorstDocuments)[-1].documents
    assert all(one.source.startswith("swipes.jsonl:") for one in worst)


def test_it_is_compared_with_its_parent_and_kept_once_it_is_trained(
    config: Config, home: Path
) -> None:
    heard = run(config)
    read = [event for event in heard.of(Preparing) if "the reference" in event.what]
    assert len(read) == 12 and read[-1].total == 12  # eleven packs, and one that is held out
    assert not list(home.rglob("reference"))
    assert steps_of(run(config)) == []
    again = run(replace(config, tiers=(config.tiers[0], replace(config.tiers[1], name="other"))))
    assert steps_of(again) == []


def test_the_settings_of_preference_count_for_its_tiers_alone(config: Config) -> None:
    run(config)
    low, taste = config.tiers
    other = Preference(beta=0.7, pairs=2)
    changed = replace(
        config, tiers=(replace(low, preference=other), replace(taste, preference=other))
    )
    assert {tier for tier, _ in steps_of(run(changed))} == {"taste"}


@pytest.mark.slow
@pytest.mark.parametrize("asked", [3, 7, 20, 31])
def test_stopped_anywhere_and_gone_on_is_as_if_never_stopped(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    config = with_train(alone(config), "taste", optimizer="adamw8bit", keep="best")
    config = replace(config, lora=Lora(r=64, alpha=64.0))
    heard = run(config, stop_at(asked))
    assert isinstance(heard[-1], RunEnded) and heard[-1].stopped
    rest = run(config)
    steps = steps_of(heard) + steps_of(rest)
    assert steps == [("taste", step) for step in range(1, STEPS + 1)]
    assert rest.of(TierStarted)[0].step == len(steps_of(heard))
    stopped = adapter_of(config, "taste")
    elsewhere(monkeypatch, tmp_path / "unbroken")
    unbroken = run(config)
    assert adapter_of(config, "taste") == stopped
    assert [*heard.of(Evaluated), *rest.of(Evaluated)] == unbroken.of(Evaluated)
    figures = [(step.loss, step.preference) for step in unbroken.of(Stepped)]
    both = [*heard.of(Stepped), *rest.of(Stepped)]
    assert [(step.loss, step.preference) for step in both] == figures


@pytest.mark.slow
def test_killed_and_gone_on_it_is_compared_with_the_same_numbers(
    config: Config, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_train(config, "taste", optimizer="adamw8bit")
    config = replace(config, base=replace(config.base, quantize="nf4"), lora=Lora(r=64))
    run(replace(config, tiers=config.tiers[:1]))
    killed = subprocess.run(
        [sys.executable, "-c", UNTIL_KILLED, "5"], input=pickle.dumps(config), check=False
    )
    assert killed.returncode == -signal.SIGKILL
    (reference,) = home.rglob("reference/losses.npy")
    assert np.load(reference).shape == (2 * ROWS,)
    rest = run(config)
    assert rest.of(TierStarted)[0].step == 4
    assert not [event for event in rest.of(Preparing) if "the reference" in event.what]
    found = adapter_of(config, "taste")
    elsewhere(monkeypatch, tmp_path / "unbroken")
    run(config)
    assert adapter_of(config, "taste") == found


def test_a_damaged_reference_is_read_anew(
    config: Config, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = alone(config)
    run(config, stop_at(31))
    (reference,) = home.rglob("reference/losses.npy")
    reference.write_bytes(reference.read_bytes()[:-1])
    rest = run(config)
    assert rest.of(TierStarted)[0].step > 0
    assert [event for event in rest.of(Preparing) if "the reference" in event.what]
    found = adapter_of(config, "taste")
    elsewhere(monkeypatch, tmp_path / "unbroken")
    run(config)
    assert adapter_of(config, "taste") == found


def test_replies_and_evaluation_change_nothing(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = alone(config)
    seldom = replace(config.watch, evaluate_every=0, reply_every=0, save_every=0)
    run(replace(config, watch=seldom))
    expected = adapter_of(config, "taste")
    elsewhere(monkeypatch, tmp_path / "again")
    heard = run(replace(config, watch=replace(config.watch, evaluate_every=1, reply_every=3)))
    assert len({reply.prompt for reply in heard.of(Replied)}) == 2
    assert adapter_of(config, "taste") == expected


def test_the_pairs_of_a_step_count_the_same_in_one_pack_or_in_several(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(alone(config), lora=Lora(r=4, alpha=8.0, dropout=0.0))
    taste = config.tiers[0]
    steps = []
    for pairs, accumulation in ((1, 4), (4, 1)):
        elsewhere(monkeypatch, tmp_path / f"{pairs}")
        # long enough for all: the packs of a step then hold the same four pairs
        train = replace(taste.train, sequence_len=4096, accumulation=accumulation, epochs=2)
        tier = replace(taste, train=train, preference=Preference(pairs=pairs))
        steps.append(run(replace(config, tiers=(tier,))).of(Stepped)[0])
    assert steps[0].tokens == pytest.approx(steps[1].tokens, rel=0.05)
    for step in steps:
        assert step.loss == pytest.approx(math.log(2), rel=1e-6)


def test_a_pair_that_is_longer_than_a_pack_is_named(config: Config) -> None:
    short = with_train(alone(config), "taste", sequence_len=40)
    with pytest.raises(UserError, match=r"^swipes\.jsonl:1: this pair takes \d+ tokens, \d+ of "):
        run(short)
