"""The optimizer follows its schedule, keeps its state exactly, and knows LoRA+."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from shoritui.errors import UserError
from shoritui.finetune.config.model import Lora, Optimizer, Train
from shoritui.finetune.model.adapter import fresh
from shoritui.finetune.model.optimizer import load_state, make_optimizer, rate, save_state, set_rate

LINEARS = {"model.layers.0.mlp.up_proj": (96, 640), "model.layers.0.mlp.down_proj": (640, 96)}
KINDS: list[Optimizer] = ["adamw8bit", "adamw"]


def adapter_of(lora: Lora) -> dict[str, nn.Parameter]:
    return {name: nn.Parameter(tensor) for name, tensor in fresh(LINEARS, lora, 1).items()}


def train_steps(
    adapter: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer, steps: range
) -> None:
    for step in steps:
        set_rate(optimizer, rate(Train(learning_rate=1e-3, schedule="cosine"), step, 8))
        draw = torch.Generator().manual_seed(step)
        for parameter in adapter.values():
            parameter.grad = torch.randn(parameter.shape, generator=draw)
        optimizer.step()


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_run_goes_on_bit_for_bit(kind: Optimizer, tmp_path: Path) -> None:
    lora, train = Lora(plus=4.0), Train(optimizer=kind)
    whole = adapter_of(lora)
    train_steps(whole, make_optimizer(whole, lora, train), range(8))

    begun = adapter_of(lora)
    optimizer = make_optimizer(begun, lora, train)
    train_steps(begun, optimizer, range(3))
    save_state(optimizer, tmp_path / "state")
    train_steps(begun, optimizer, range(3, 8))  # what is on disk does not change with it
    again = adapter_of(lora)
    train_steps(again, make_optimizer(again, lora, train), range(3))
    resumed = make_optimizer(again, lora, train)
    load_state(resumed, tmp_path / "state")
    train_steps(again, resumed, range(3, 8))

    for name, parameter in whole.items():
        assert torch.equal(parameter, again[name])
        assert torch.equal(parameter, begun[name])


def test_the_state_takes_eight_bits_a_value() -> None:
    adapter = adapter_of(Lora())
    optimizer = make_optimizer(adapter, Lora(), Train())
    train_steps(adapter, optimizer, range(1))
    large = max(adapter.values(), key=nn.Parameter.numel)
    assert optimizer.state[large]["state1"].dtype == torch.uint8


def test_the_state_of_another_adapter_is_refused(tmp_path: Path) -> None:
    lora = Lora()
    adapter = adapter_of(lora)
    save_state(make_optimizer(adapter, lora, Train()), tmp_path / "state")
    fewer = dict(list(adapter.items())[:2])
    with pytest.raises(UserError, match="not the state of this optimizer"):
        load_state(make_optimizer(fewer, lora, Train()), tmp_path / "state")
    (tmp_path / "state").write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be read"):
        load_state(make_optimizer(adapter, lora, Train()), tmp_path / "state")


def test_settings_are_the_config_s_not_the_file_s(tmp_path: Path) -> None:
    adapter = adapter_of(Lora())
    save_state(make_optimizer(adapter, Lora(), Train(weight_decay=0.5)), tmp_path / "state")
    optimizer = make_optimizer(adapter, Lora(plus=2.0), Train(weight_decay=0.1))
    load_state(optimizer, tmp_path / "state")
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.1]
    assert [group["times"] for group in optimizer.param_groups] == [1.0, 2.0]


@pytest.mark.parametrize("kind", KINDS)
def test_b_learns_faster_with_lora_plus(kind: Optimizer) -> None:
    lora = Lora(plus=16.0)
    adapter = adapter_of(lora)
    before = {name: parameter.detach().clone() for name, parameter in adapter.items()}
    optimizer = make_optimizer(adapter, lora, Train(optimizer=kind, weight_decay=0.0))
    train_steps(adapter, optimizer, range(1))
    moved = {name: (adapter[name] - before[name]).abs().mean().item() for name in adapter}
    for name_a, name_b in pairwise(list(adapter)[:2]):
        assert moved[name_b] / moved[name_a] == pytest.approx(16, rel=0.1)


def test_schedules() -> None:
    constant = Train(learning_rate=1.0, warmup_steps=4)
    assert [rate(constant, step, 6) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    linear = Train(learning_rate=1.0, warmup_steps=2, schedule="linear")
    assert [rate(linear, step, 6) for step in range(6)] == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    cosine = [rate(Train(learning_rate=1.0, schedule="cosine"), step, 4) for step in range(5)]
    assert cosine == pytest.approx([1, 0.8536, 0.5, 0.1464, 0], abs=1e-4)


def test_a_warm_up_may_be_a_share_of_the_steps() -> None:
    shared = Train(learning_rate=1.0, warmup_ratio=0.35, schedule="linear")
    counted = Train(learning_rate=1.0, warmup_steps=3, schedule="linear")
    both = Train(learning_rate=1.0, warmup_ratio=0.9, warmup_steps=3, schedule="linear")
    for step in range(10):
        assert rate(shared, step, 10) == rate(counted, step, 10) == rate(both, step, 10)
    assert rate(Train(learning_rate=1.0, warmup_ratio=0.35), 0, 2) == 1.0
