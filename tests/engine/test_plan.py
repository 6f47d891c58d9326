"""The plan reaches what is wanted, and no shorter way exists."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoritui.engine.plan import plan

ids = st.lists(st.integers(0, 3), max_size=20)
lengths = st.sets(st.integers(0, 20))


@given(held=ids, wanted=ids, logits=lengths)
def test_following_the_plan_holds_what_is_wanted(
    held: list[int], wanted: list[int], logits: set[int]
) -> None:
    steps = plan(held, wanted, logits=logits)
    kept = held[: len(held) - steps.remove]
    assert len(kept) == steps.keep
    assert kept + wanted[len(wanted) - steps.evaluate :] == wanted


@given(held=ids, wanted=ids.filter(bool), logits=lengths)
def test_it_evaluates_the_fewest_ids_that_leave_logits(
    held: list[int], wanted: list[int], logits: set[int]
) -> None:
    steps = plan(held, wanted, logits=logits)
    if wanted == held[: len(wanted)] and len(wanted) in logits:
        assert steps.evaluate == 0
    elif wanted == held[: len(wanted)]:
        assert steps.evaluate == 1
    else:
        assert held[: steps.keep + 1] != wanted[: steps.keep + 1]


@given(held=ids, new=ids)
def test_a_continued_prompt_costs_only_what_is_new(held: list[int], new: list[int]) -> None:
    assert plan(held, held + new, logits={len(held)}).evaluate == len(new)
