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
from safetensors.numpy import load_file

from shoritui.finetune.config.model import Config
from shoritui.finetune.events import Evaluated, Replied, Stepped, to_json
from shoritui.finetune.run.training import train
from tests.finetune.run.small import QUICK, Heard, make_config, run, write_data

ROOT = Path(__file__).parents[3]
PROGRAM = """
import pickle, sys
import torch
from shoritui.finetune.events import to_json
from shoritui.finetune.run.training import train
torch.set_num_threads(1)
with open(sys.argv[1], "rb") as file:
    train(pickle.load(file), lambda event: print(to_json(event), flush=True), lambda: False)
"""
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


def adapter_of(config: Config, tier: str) -> dict[str, np.ndarray[Any, Any]]:
    return load_file(config.path.parent / config.output / tier / "adapter_model.safetensors")


@pytest.mark.parametrize(("sharding", "quantize"), [("none", "none"), ("base", "nf4")])
def test_two_ranks_train_as_one_does(
    config: Config, tmp_path: Path, sharding: Any, quantize: Any
) -> None:
    base = replace(config.base, quantize=quantize)
    config = replace(config, base=base, watch=replace(config.watch, sharding=sharding))
    alone = run(config)
    adapters = {tier.name: adapter_of(config, tier.name) for tier in config.tiers}
    told = together(config, tmp_path / "job")
    for kind, figure in ((Stepped, "loss"), (Stepped, "gradient_norm"), (Evaluated, "loss")):
        expected = [json.loads(to_json(event)) for event in alone.of(kind)]
        found = [event for event in told if event["event"] == kind.__name__.lower()]
        assert [(one["tier"], one["step"]) for one in found] == [
            (one["tier"], one["step"]) for one in expected
        ]
        assert [one[figure] for one in found] == pytest.approx(
            [one[figure] for one in expected], rel=1e-5
        )
    assert [e["prompt"] for e in told if e["event"] == "replied"] == [
        event.prompt for event in alone.of(Replied)
    ]
    assert told[-1]["event"] == "runended" and told[-1]["steps"] == len(alone.of(Stepped))
    for name, tensors in adapters.items():
        for each, tensor in adapter_of(config, name).items():
            np.testing.assert_allclose(tensor, tensors[each], atol=2e-4)


def test_two_ranks_go_on_from_what_one_saved(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = run(config)
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "job" / "home"))
    begun = Heard()
    train(config, begun.append, lambda: bool(begun.of(Stepped)))
    told = together(config, tmp_path / "job")
    steps = [event for event in told if event["event"] == "stepped"]
    assert [step["step"] for step in steps] == [step.step for step in alone.of(Stepped)[1:]]
    assert begun.of(Stepped)[0].loss == alone.of(Stepped)[0].loss
    assert [step["loss"] for step in steps] == pytest.approx(
        [step.loss for step in alone.of(Stepped)[1:]], rel=1e-5
    )
