"""The plan against what really happens: other depths, and a real step on this machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from shoritui.errors import UserError
from shoritui.finetune.config.model import Base, Lora, Train
from shoritui.finetune.model.interface import Rung
from shoritui.finetune.model.network import Network
from shoritui.finetune.model.optimizer import make_optimizer
from shoritui.finetune.model.shape import Shape, shape_named
from shoritui.finetune.plan.memory import GIB, Peak, choose_rung, longest_context, peaks
from shoritui.finetune.plan.step import pack_like, traced, work_of
from shoritui.finetune.plan.tracing import Trace

SMALL = Shape(256, 512, 6, 8, 2, 32, 1000)


@pytest.mark.parametrize(
    ("rung", "base"), [*((rung, Base()) for rung in Rung), (Rung.HALVES, Base(quantize="none"))]
)
def test_two_small_depths_tell_what_six_layers_take(rung: Rung, base: Base) -> None:
    planned = peaks(SMALL, base, Lora(), Train(), [900, 300], rungs=[rung])[rung]
    direct = traced(SMALL, base, Lora(), Train(), [900, 300], rung, "cuda")
    assert planned.tensors == pytest.approx(direct.peak, rel=0.01)
    assert planned.fixed == pytest.approx(direct.fixed, rel=0.01)
    assert planned.products == pytest.approx(direct.products, rel=0.01)
    assert planned.attention == pytest.approx(direct.attention, rel=0.01)
    assert planned.host == direct.host


@pytest.mark.parametrize("rung", list(Rung))
def test_a_real_step_takes_what_was_traced(rung: Rung) -> None:
    torch.set_num_threads(1)
    shape, lora, train = replace(SMALL, layers=3), Lora(), Train(precision="fp32")
    trace = Trace()
    with trace:
        network = Network.random(shape, lora, torch.device("cpu"), torch.float32)
    optimizer = make_optimizer(network.adapter, lora, train)
    real = work_of(network, optimizer, pack_like([300, 84]), rung, trace)
    planned = traced(shape, Base(), lora, train, [300, 84], rung, "cpu")
    assert planned.fixed == pytest.approx(real.fixed, rel=0.02)
    assert planned.peak == pytest.approx(real.peak, rel=0.02)
    assert planned.products == real.products
    assert planned.attention == real.attention
    assert planned.host == real.host == 0


def test_a_higher_rung_takes_more_memory_and_less_work() -> None:
    found = list(peaks(SMALL, Base(), Lora(), Train(), [2000]).values())
    assert [peak.rung for peak in found] == sorted(Rung, reverse=True)
    assert [peak.device for peak in found] == sorted((peak.device for peak in found), reverse=True)
    work = [peak.products + peak.attention for peak in found]
    assert work == sorted(work)
    assert found[-1].host > 0 and not any(peak.host for peak in found[:-1])


def test_a_mistral_of_7b_fits_the_cards_that_it_is_meant_for() -> None:
    found = peaks(shape_named("mistral-7b"), Base(), Lora(), Train(), [16384])
    assert found[Rung.ATTENTION].tensors <= 19 * GIB
    assert found[Rung.OFFLOAD].tensors <= 7 * GIB
    assert choose_rung(found, 24 * GIB) is Rung.ATTENTION
    assert choose_rung(found, 8 * GIB) is Rung.OFFLOAD


def peak(rung: Rung, gib: float, host: float = 0) -> Peak:
    size = int(gib * GIB)
    return Peak(rung, 16384, size, size - GIB // 2, 2 * GIB, int(host * GIB), "mm", 1e12, 1e12)


RUNGS = {
    Rung.ATTENTION: peak(Rung.ATTENTION, 18),
    Rung.HALVES: peak(Rung.HALVES, 14),
    Rung.INPUTS: peak(Rung.INPUTS, 10),
    Rung.OFFLOAD: peak(Rung.OFFLOAD, 6, host=4),
}


@pytest.mark.parametrize(
    ("gib", "rung"),
    [(24, Rung.ATTENTION), (14, Rung.HALVES), (13.9, Rung.INPUTS), (6, Rung.OFFLOAD)],
)
def test_the_fastest_rung_that_fits_is_taken(gib: float, rung: Rung) -> None:
    assert choose_rung(RUNGS, int(gib * GIB)) is rung


def test_what_does_not_fit_is_told_with_advice() -> None:
    with pytest.raises(
        UserError, match=r"16,384 tokens needs 6\.0 GiB even on the .*offload.*there are 5\.0"
    ) as found:
        choose_rung(RUNGS, 5 * GIB)
    assert "lower [train] sequence_len to about 11,264" in str(found.value)
    with pytest.raises(UserError, match="the base alone does not fit"):
        choose_rung(RUNGS, 2 * GIB)
    with pytest.raises(UserError, match=r"4\.0 GiB of main memory .* 3\.0 GiB are free"):
        choose_rung(RUNGS, 8 * GIB, host=3 * GIB)


def test_the_longest_context_fits_and_a_longer_one_does_not() -> None:
    def needs(tokens: int) -> int:
        found = peaks(SMALL, Base(), Lora(), Train(), [tokens], rungs=[Rung.OFFLOAD])
        return found[Rung.OFFLOAD].device

    longest = longest_context(SMALL, Base(), Lora(), Train(), needs(6144) + 1)
    assert longest.tokens == 6144
    with pytest.raises(UserError, match="train a smaller base"):
        longest_context(SMALL, Base(), Lora(), Train(), GIB // 2)
