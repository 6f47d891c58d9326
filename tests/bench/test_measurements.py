"""Rows whose values are counts or differences, and so the same on a busy machine."""

from __future__ import annotations

import pytest

from shoritui.bench.distance import logits_distance_exact
from shoritui.bench.lab import Lab
from shoritui.bench.measurements import MEASUREMENTS
from shoritui.bench.turns import evaluated_per_new
from shoritui.demo import model_path
from shoritui.engine import EngineOptions

pytestmark = pytest.mark.slow

LAB = Lab(
    model_path(),
    EngineOptions(n_ctx=2048, n_threads=1),
    gpu=False,
    full=False,
    report=lambda _: None,
)


def test_every_row_has_a_name_of_its_own() -> None:
    ids = [aim.id for each in MEASUREMENTS for aim in each.aims]
    assert len(set(ids)) == len(ids)


async def test_turns_at_a_full_context_evaluate_little_more_than_what_is_new() -> None:
    waiting, idle = evaluated_per_new.rows(await evaluated_per_new.measure(LAB))
    assert waiting.ok is True, waiting
    assert idle.value is not None and 0 < idle.value < 10


async def test_exact_mode_is_exact() -> None:
    [row] = logits_distance_exact.rows(await logits_distance_exact.measure(LAB))
    assert row.ok is True and row.samples >= 1, row
