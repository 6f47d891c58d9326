"""Packs: nothing lost, nothing too long, little wasted; and an order that only numbers decide."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.finetune.config.model import Train
from shoritui.finetune.data.packs import Pack, Sample, efficiency, order, packs_of, steps_of

LENGTH = 100


def sample(size: int, name: str = "") -> Sample:
    return Sample(np.full(size, size, np.int32), np.arange(size) > 0, name)


sizes = st.lists(st.integers(1, LENGTH), max_size=40)


def packed(sizes: list[int], packing: bool = True) -> tuple[Pack, ...]:
    return packs_of([sample(size, str(at)) for at, size in enumerate(sizes)], LENGTH, packing)


@given(sizes)
def test_every_sample_is_in_one_pack_and_no_pack_is_too_long(sizes: list[int]) -> None:
    packs = packed(sizes)
    assert sorted(int(name) for pack in packs for name in pack.sources) == list(range(len(sizes)))
    for pack in packs:
        assert len(pack.ids) == len(pack.learn) == pack.starts[-1] <= LENGTH
        assert [sizes[int(name)] for name in pack.sources] == list(np.diff(pack.starts))
    fill = sorted(len(pack.ids) for pack in packs)
    assert len(fill) < 2 or fill[0] + fill[1] > LENGTH, "two of them would fit into one"


@given(sizes)
def test_packs_are_the_same_each_time(sizes: list[int]) -> None:
    assert [pack.sources for pack in packed(sizes)] == [pack.sources for pack in packed(sizes)]


def first_fit(sizes: list[int]) -> int:
    packs: list[int] = []
    for size in sizes:
        at = next((at for at, full in enumerate(packs) if full + size <= LENGTH), len(packs))
        packs[at:] = [packs[at] + size if at < len(packs) else size, *packs[at + 1 :]]
    return len(packs)


def test_packs_are_fuller_than_by_first_fit() -> None:
    rng = random.Random(7)
    drawn = [[rng.randint(1, LENGTH) for _ in range(rng.randint(1, 60))] for _ in range(300)]
    assert all(len(packed(sizes)) <= first_fit(sizes) for sizes in drawn)
    assert sum(len(packed(sizes)) for sizes in drawn) < sum(map(first_fit, drawn))


def test_without_packing_each_is_alone_and_unpadded() -> None:
    packs = packed([3, 90, 5], packing=False)
    assert [(pack.documents, len(pack.ids)) for pack in packs] == [(1, 3), (1, 90), (1, 5)]
    assert efficiency(packs, LENGTH) == pytest.approx(98 / 300)
    assert efficiency((), LENGTH) == 1


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="101 tokens"):
        packs_of([sample(101)], LENGTH, True)


@given(st.integers(0, 200), st.integers(0, 2**63 - 1), st.integers(0, 100))
def test_the_order_is_a_permutation(count: int, seed: int, epoch: int) -> None:
    assert sorted(order(count, seed, epoch)) == list(range(count))
    assert order(count, seed, epoch) == order(count, seed, epoch)


def test_the_order_differs_by_epoch_and_by_seed() -> None:
    orders = {tuple(order(30, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_steps_count_the_unfinished_one_of_each_epoch() -> None:
    packs = packed([90] * 5)
    assert steps_of(packs, Train(epochs=2, accumulation=2, micro_batch=1)) == 6
    assert steps_of(packs, Train(epochs=1, accumulation=1, micro_batch=1)) == 5
    assert steps_of((), Train()) == 0
