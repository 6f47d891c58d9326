"""Ranks, correlations and intervals, by what must hold for any numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.eval.statistics import Count, estimate, estimate_share, ranks, share, spearman

numbers = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=30)


def test_ranks_of_equal_values_are_shared() -> None:
    assert ranks([10, 20, 10, 5]) == [2.5, 4, 2.5, 1]


@given(numbers)
def test_ranks_add_up(values: list[float]) -> None:
    assert sum(ranks(values)) == pytest.approx(len(values) * (len(values) + 1) / 2)


@given(numbers)
def test_a_rising_function_is_a_correlation_of_one(values: list[float]) -> None:
    found = spearman([(value, value**3 + value) for value in values])
    assert found is None if len(set(values)) == 1 else found == pytest.approx(1)
    turned = spearman([(value, -value) for value in values])
    assert turned is None if len(set(values)) == 1 else turned == pytest.approx(-1)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), min_size=1, max_size=30))
def test_a_correlation_is_from_minus_one_to_one(pairs: list[tuple[int, int]]) -> None:
    found = spearman(pairs)
    assert found is None or -1.000001 <= found <= 1.000001
    assert found == pytest.approx(spearman([(b, a) for a, b in pairs]))


def test_nothing_has_no_figure() -> None:
    assert share([]) is None and share([Count(0, 0)]) is None
    assert spearman([]) is None
    assert estimate_share([]) is None and estimate_share([[]]) is None


@given(st.lists(st.lists(st.booleans(), max_size=4), min_size=1, max_size=12), st.integers(0, 5))
def test_an_interval_holds_its_share(groups: list[list[bool]], seed: int) -> None:
    counts = [[Count(each) for each in group] for group in groups]
    found = estimate_share(counts, seed)
    every = [each for group in groups for each in group]
    if not every:
        assert found is None
        return
    assert found is not None
    assert found.value == pytest.approx(sum(every) / len(every))
    assert 0 <= found.low <= found.high <= 1
    assert found.count == len(every)
    assert found == estimate_share(counts, seed)


def test_what_never_came_may_still_come() -> None:
    never = estimate_share([[Count(False)] for _ in range(30)])
    always = estimate_share([[Count(True)] for _ in range(30)])
    assert never is not None and (never.value, never.low, never.high) == (0, 0, 0.1)
    assert always is not None and (always.value, always.low, always.high) == (1, 0.9, 1)


def test_an_interval_narrows_with_more_groups() -> None:
    few = estimate_share([[Count(at % 2)] for at in range(10)])
    many = estimate_share([[Count(at % 2)] for at in range(1000)])
    assert few is not None and many is not None
    assert many.high - many.low < (few.high - few.low) / 4
    assert many.low < 0.5 < many.high


def test_what_is_alike_in_a_group_counts_as_one() -> None:
    """Ten replies that fail together say no more than one."""
    alone = estimate([[float(at % 2)] for at in range(10)], lambda each: sum(each) / len(each))
    copied = estimate(
        [[float(at % 2)] * 10 for at in range(10)], lambda each: sum(each) / len(each)
    )
    assert alone is not None and copied is not None
    assert (alone.low, alone.high) == (copied.low, copied.high)
