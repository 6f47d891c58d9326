"""The plan against what really happens: other depths, and a real step on this machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from shoritui.errors import UserError
from shoritui.finetune.config.model import Base, Lora, Train
from shoritui.finetune.model.interface import Level
from shoritui.finetune.model.network import Network
from shoritui.finetune.model.optimizer import make_optimizer
from shoritui.finetune.model.shape import shape_named
from shoritui.finetune.plan.step import Work, pack_like, traced, work_of
from shoritui.finetune.plan.step_memory import GIB, Peak, choose_level, longest_context, peaks
from shoritui.finetune.plan.trace import Trace
from shoritui.gguf.shape import Shape

pytestmark = pytest.mark.slow

SMALL = Shape(256, 512, 6, 8, 2, 32, 1000)
QWEN = replace(SMALL, layers=3, biased=("q_proj", "k_proj", "v_proj"), has_head_norms=True)


@pytest.mark.parametrize(
    ("level", "base"),
    [*((level, Base()) for level in Level), (Level.HALVES, Base(quantize="none"))],
)
def test_two_small_depths_tell_what_six_layers_take(level: Level, base: Base) -> None:
    planned = peaks(SMALL, base, Lora(), Train(), [900, 300], levels=[level])[level]
    direct = traced(SMALL, base, Lora(), Train(), [900, 300], level, "cuda")
    assert planned.work.tensors == pytest.approx(direct.tensors, rel=0.01)
    assert planned.work.fixed == pytest.approx(direct.fixed, rel=0.01)
    assert planned.work.products == pytest.approx(direct.products, rel=0.01)
    assert planned.work.attention == pytest.approx(direct.attention, rel=0.01)
    assert planned.work.host == direct.host


@pytest.mark.parametrize(
    ("level", "shape"),
    [*((level, replace(SMALL, layers=3)) for level in Level), (Level.HALVES, QWEN)],
)
def test_a_real_step_takes_what_was_traced(level: Level, shape: Shape) -> None:
    torch.set_num_threads(1)
    lora, train = Lora(), Train(precision="fp32")
    trace = Trace()
    with trace:
        network = Network.random(shape, lora, torch.device("cpu"), torch.float32)
    optimizer = make_optimizer(network.adapter, lora, train)
    real = work_of(network, optimizer, pack_like([300, 84]), level, trace)
    planned = traced(shape, Base(), lora, train, [300, 84], level, "cpu")
    assert planned.fixed == pytest.approx(real.fixed, rel=0.02)
    assert planned.tensors == pytest.approx(real.tensors, rel=0.02)
    assert planned.products == real.products
    assert planned.attention == real.attention
    assert planned.host == real.host == 0


def test_a_higher_level_takes_more_memory_and_less_work() -> None:
    found = list(peaks(SMALL, Base(), Lora(), Train(), [2000]).values())
    assert [peak.level for peak in found] == sorted(Level, reverse=True)
    assert [peak.device for peak in found] == sorted((peak.device for peak in found), reverse=True)
    work = [peak.work.products + peak.work.attention for peak in found]
    assert work == sorted(work)
    assert found[-1].work.host > 0 and not any(peak.work.host for peak in found[:-1])


def test_a_mistral_of_7b_fits_the_cards_that_it_is_meant_for() -> None:
    found = peaks(shape_named("mistral-7b"), Base(), Lora(), Train(), [16384])
    assert found[Level.ATTENTION].work.tensors <= 19 * GIB
    assert found[Level.OFFLOAD].work.tensors <= 7 * GIB
    assert choose_level(found, 24 * GIB) is Level.ATTENTION
    assert choose_level(found, 8 * GIB) is Level.OFFLOAD


def peak(level: Level, gib: float, host: float = 0) -> Peak:
    size = int(gib * GIB)
    work = Work(2 * GIB, size - GIB // 2, int(host * GIB), "mm", 10**12, 10**12)
    return Peak(level, 16384, size, work)


LEVELS = {
    Level.ATTENTION: peak(Level.ATTENTION, 18),
    Level.HALVES: peak(Level.HALVES, 14),
    Level.INPUTS: peak(Level.INPUTS, 10),
    Level.OFFLOAD: peak(Level.OFFLOAD, 6, host=4),
}


@pytest.mark.parametrize(
    ("gib", "level"),
    [(24, Level.ATTENTION), (14, Level.HALVES), (13.9, Level.INPUTS), (6, Level.OFFLOAD)],
)
def test_the_fastest_level_that_fits_is_taken(gib: float, level: Level) -> None:
    assert choose_level(LEVELS, int(gib * GIB)) is level


def test_what_does_not_fit_is_told_with_advice() -> None:
    with pytest.raises(
        UserError, match=r"16,384 tokens needs 6\.0 GiB even at the .*offload.*there are 5\.0"
    ) as found:
        choose_level(LEVELS, 5 * GIB)
    assert "lower [train] sequence_len to about 11,264" in str(found.value)
    with pytest.raises(UserError, match="the base alone does not fit"):
        choose_level(LEVELS, 2 * GIB)
    with pytest.raises(UserError, match=r"4\.0 GiB of main memory .* 3\.0 GiB are free"):
        choose_level(LEVELS, 8 * GIB, host=3 * GIB)


def test_the_longest_context_fits_and_a_longer_one_does_not() -> None:
    def needs(tokens: int) -> int:
        found = peaks(SMALL, Base(), Lora(), Train(), [tokens], levels=[Level.OFFLOAD])
        return found[Level.OFFLOAD].device

    longest = longest_context(SMALL, Base(), Lora(), Train(), needs(6144) + 1)
    assert longest.tokens == 6144
    with pytest.raises(UserError, match="train a smaller base"):
        longest_context(SMALL, Base(), Lora(), Train(), GIB // 2)
