"""Masks are as random as they should be, and the same whenever they are asked for."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shoritui.finetune.model.dropout import grid_of, key_of, mask_of, noise_of
from shoritui.finetune.model.interface import Draw

CPU = torch.device("cpu")
TOKENS, FEATURES = 1500, 1000
ALL = slice(None)
NUMBERS = st.integers(0, 2**63)


def dropped(
    key: int, rate: float = 0.1, tokens: int = TOKENS, features: int = FEATURES
) -> torch.Tensor:
    return 1 - mask_of(key, tokens, features, rate, torch.int32, CPU).kept(ALL).mask.float()


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5])
def test_the_share_that_is_dropped_is_the_rate_and_no_row_or_column_stands_out(
    rate: float,
) -> None:
    mask = dropped(7, rate)
    variance = rate * (1 - rate)
    assert mask.mean().item() == pytest.approx(rate, abs=4 * (variance / mask.numel()) ** 0.5)
    for axis, count in ((0, TOKENS), (1, FEATURES)):
        means = mask.mean(axis)
        spread = (variance / count) ** 0.5
        assert means.std().item() == pytest.approx(spread, rel=0.15)
        assert (means - rate).abs().max().item() < 6 * spread


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_are_independent_of_each_other_and_so_are_columns(axis: int) -> None:
    mask = dropped(11) if axis == 0 else dropped(11).t()
    centred = (mask - 0.1) / 0.3
    correlations = centred @ centred.t() / mask.shape[1]
    correlations.fill_diagonal_(0)
    spread = mask.shape[1] ** -0.5
    assert correlations.std().item() == pytest.approx(spread, rel=0.1)
    assert correlations.abs().max().item() < 10 * spread


def test_four_corners_of_a_rectangle_are_independent() -> None:
    """Rows times columns is a product, in which corners could tell of each other."""
    centred = (dropped(13) - 0.1) / 0.3
    corners = centred[:-1, :-1] * centred[1:, :-1] * centred[:-1, 1:] * centred[1:, 1:]
    assert abs(corners.mean().item()) < 5 * corners.numel() ** -0.5


def test_neighbours_and_other_places_are_independent() -> None:
    first = (dropped(1) - 0.1) / 0.3
    others = [first.roll(1, 0), first.roll(1, 1), first.roll((1, 1), (0, 1))]
    others += [(dropped(key) - 0.1) / 0.3 for key in (2, 3, 1 << 40)]
    for other in others:
        assert abs((first * other).mean().item()) < 5 * first.numel() ** -0.5


def test_a_mask_does_not_depend_on_where_it_is_cut_or_how_long_the_pack_is() -> None:
    whole = mask_of(3, 100, 40, 0.1, torch.int16, CPU)
    parts = [whole.kept(slice(start, start + 17)).mask for start in range(0, 100, 17)]
    assert torch.equal(torch.cat(parts), whole.kept(ALL).mask)
    longer = mask_of(3, 140, 40, 0.1, torch.int16, CPU)
    assert torch.equal(longer.kept(slice(0, 100)).mask, whole.kept(ALL).mask)
    assert set(whole.kept(ALL).mask.flatten().tolist()) == {0, 1}


def test_what_is_kept_is_the_same_in_every_type() -> None:
    for x, same in ((torch.randn(30, 40), torch.int32), (torch.randn(30, 40).half(), torch.int16)):
        bits, bools = (mask_of(9, 30, 40, 0.3, each, CPU).kept(ALL) for each in (same, torch.bool))
        assert torch.equal(bits.of(x), bools.of(x))
        assert (bools.of(x) == 0).sum() == bools.mask.sum()
        for kept in (bits, bools):
            assert torch.equal(kept.of_(x.clone()), kept.of(x))


@given(NUMBERS, NUMBERS, NUMBERS, st.integers(-1, 200), st.integers(0, 3), st.integers(0, 4))
def test_every_part_of_a_draw_matters(
    seed: int, step: int, pack: int, layer: int, site: int, changed: int
) -> None:
    parts = [seed, step, pack, layer, site]
    key = key_of(Draw(seed, step, pack), layer, site)
    assert key == key_of(Draw(seed, step, pack), layer, site)
    parts[changed] += 1
    assert key != key_of(Draw(*parts[:3]), parts[3], parts[4])


def test_the_numbers_are_these_on_every_machine() -> None:
    key = key_of(Draw(42, 0, 0), 0, 0)
    assert key == 14756248657916594680
    assert grid_of(key, 2, 3, CPU).numbers(ALL).tolist() == [
        [-711908953, -416269539, 134506135],
        [-269001679, 1161227947, -27248447],
    ]


def test_noise_is_even_between_its_ends() -> None:
    noise = noise_of(5, 500, 400, CPU)
    assert noise.abs().max().item() <= 1
    counts = torch.histc(noise, 20, -1, 1)
    assert counts.std().item() < 3 * (500 * 400 / 20) ** 0.5
