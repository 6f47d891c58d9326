"""Two ranks on this machine train what one trains; gloo carries what they tell each other."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from shoritui.finetune.config.model import Config, Data, Preference, Tier
from shoritui.finetune.events import Evaluated, Replied, Saved, Stepped
from shoritui.finetune.model.weights import Dense
from shoritui.finetune.run.distributed import Ranks, shared, spared
from shoritui.finetune.run.train import train
from tests.finetune.run.small import QUICK, Heard, make_config, run, write_data, write_swipes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PROGRAM = """
import pickle, sys
from pathlib import Path
import torch
from shoritui.finetune.events import to_json
from shoritui.finetune.run.train import train
torch.set_num_threads(1)
with open(sys.argv[1], "rb") as file:
    train(pickle.load(file), lambda event: print(to_json(event), flush=True), lambda: False)
threads = [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]
assert not any("gloo" in each for each in threads), f"these outlive the group: {threads}"
"""
Tensors = dict[str, np.ndarray[Any, Any]]

TOGETHER = "-m torch.distributed.run --nproc-per-node 2 --standalone --local-addr 127.0.0.1"


@pytest.fixture
def config(tmp_path: Path, base: Path) -> Config:
    write_data(tmp_path)
    # Three packs a step, so that one rank has a pack less than the other.
    config = make_config(tmp_path, base, replace(QUICK, accumulation=3), reply_every=3)
    return replace(config, tiers=config.tiers[:1])


def together(config: Config, folder: Path) -> list[dict[str, Any]]:
    """What two ranks tell, with a cache of their own."""
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(PROGRAM)
    (folder / "config").write_bytes(pickle.dumps(config))
    done = subprocess.run(
        [sys.executable, *TOGETHER.split(), str(folder / "train.py"), str(folder / "config")],
        capture_output=True,
        check=False,
        timeout=300,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "SHORITUI_HOME": str(folder / "home")}
        | ({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}),
    )
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def adapter_of(config: Config, tier: str) -> Tensors:
    return load_file(config.path.parent / config.output / tier / "adapter_model.safetensors")


def test_two_ranks_go_on_from_what_one_saved_as_one_would(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, adapter = run(config), adapter_of(config, "low")
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "job" / "home"))
    begun = Heard()
    train(config, begun.append, lambda: bool(begun.of(Stepped)))
    assert begun.of(Stepped) and begun.of(Saved)
    _are_alike(together(config, tmp_path / "job"), alone, begun=1)
    _are_close(adapter_of(config, "low"), adapter)


def test_two_ranks_that_share_a_base_train_as_one_that_has_all_of_it(
    config: Config, tmp_path: Path
) -> None:
    config = replace(config, base=replace(config.base, quantize="nf4"))
    alone, adapter = run(config), adapter_of(config, "low")
    shared = replace(config, watch=replace(config.watch, sharding="base"))
    _are_alike(together(shared, tmp_path / "job"), alone)
    _are_close(adapter_of(config, "low"), adapter)


def test_two_ranks_learn_preferences_as_one_would(config: Config, tmp_path: Path) -> None:
    write_swipes(tmp_path)
    taste = Tier(
        *("taste", ("swipes.jsonl",)),
        train=replace(QUICK, accumulation=3, sequence_len=512),
        data=Data(evaluation=2),
        kind="preference",
        preference=Preference(pairs=2),
    )
    config = replace(config, tiers=(taste,))
    alone, adapter = run(config), adapter_of(config, "taste")
    told = together(config, tmp_path / "job")
    _are_alike(told, alone)
    found = [e["preference"]["margin"] for e in told if e["event"] == "evaluated"]
    expected = [event.preference.margin for event in alone.of(Evaluated)]
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-5)
    _are_close(adapter_of(config, "taste"), adapter)


def test_what_other_ranks_hold_of_a_base_is_spared() -> None:
    matrices = [Dense(torch.zeros(64, size)) for size in (16, 16, 16, 8)]
    parts = [shared(matrix, Ranks(rank=1, size=4)) for matrix in matrices]
    own = sum(part.tensors[0].nbytes for part in parts)
    assert own == 64 * (16 + 16 + 16 + 8)  # a quarter of them, four bytes a number
    assert spared(parts) == 4 * own - own - 4 * 64 * 16  # the largest one is put together
    assert spared(matrices) == 0


def _are_alike(told: list[dict[str, Any]], alone: Heard, begun: int = 0) -> None:
    """What two ranks told, and what one told after so many steps."""
    for kind, figure in ((Stepped, "loss"), (Stepped, "gradient_norm"), (Evaluated, "loss")):
        expected = {event.step: getattr(event, figure) for event in alone.of(kind)}
        found = {e["step"]: e[figure] for e in told if e["event"] == kind.__name__.lower()}
        assert found == pytest.approx(
            {step: figure for step, figure in expected.items() if step > begun}, rel=1e-5
        )
    replied = [event["prompt"] for event in told if event["event"] == "replied"]
    assert replied == [event.prompt for event in alone.of(Replied)]
    assert told[-1]["event"] == "runended"
    assert told[-1]["steps"] == len(alone.of(Stepped)) - begun


def _are_close(one: Tensors, other: Tensors) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        np.testing.assert_allclose(tensor, other[name], atol=2e-4)
