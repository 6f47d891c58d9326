"""The plan reaches what is wanted, and no shorter way exists."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from shoritui.engine.cache.plan import Blocks, Plan, plan

Ids = tuple[int, ...]
block = st.lists(st.integers(0, 2), min_size=1, max_size=4).map(tuple)
documents = st.lists(block, max_size=8)
loose = st.lists(st.integers(0, 2), max_size=3)
lengths = st.sets(st.integers(0, 30))


def held_of(document: list[Ids], loose: list[int]) -> Blocks:
    """What a sequence holds: a document, and what was generated behind it."""
    held = Blocks.of(document)
    held.ids.extend(loose)
    return held


def followed(steps: Plan, held: Blocks, wanted: Blocks) -> list[int]:
    """What is held after the plan."""
    ids = held.ids[: steps.keep]
    for span in steps.moves:
        ids += held.ids[span.begin : span.end]
    return ids + wanted.ids[len(wanted) - steps.evaluate :]


@given(document=documents, loose=loose, wanted=documents, logits=lengths, shift=st.booleans())
@example(document=[(1,), (0,)], loose=[0], wanted=[(0, 0), (0, 0)], logits=set(), shift=True)
def test_following_the_plan_holds_what_is_wanted(
    document: list[Ids], loose: list[int], wanted: list[Ids], logits: set[int], shift: bool
) -> None:
    held, goal = held_of(document, loose), Blocks.of(wanted)
    steps = plan(held, goal, logits=logits, shift=shift)
    assert followed(steps, held, goal) == goal.ids
    places = [steps.keep, *(place for span in steps.moves for place in (span.begin, span.end))]
    assert places == sorted(places)
    assert all(len(span) for span in steps.moves)
    assert shift or not steps.moves


@given(document=documents, loose=loose, wanted=documents.filter(bool), logits=lengths)
def test_it_evaluates_the_fewest_ids_that_leave_logits(
    document: list[Ids], loose: list[int], wanted: list[Ids], logits: set[int]
) -> None:
    held, goal = held_of(document, loose), Blocks.of(wanted)
    steps = plan(held, goal, logits=logits)
    if goal.ids == held.ids[: len(goal)]:
        assert steps.evaluate == (len(goal) not in logits)
    else:
        assert held.ids[: steps.keep + 1] != goal.ids[: steps.keep + 1]


@given(document=documents, wanted=documents.filter(bool))
def test_a_shift_keeps_as_many_whole_blocks_as_any_choice_in_order_could(
    document: list[Ids], wanted: list[Ids]
) -> None:
    held, goal = Blocks.of(document), Blocks.of(wanted)
    evaluated = plan(held, goal, logits=range(100), shift=True).evaluate
    remaining = iter(document)
    kept = 0
    for each in wanted:
        if each not in remaining:  # which takes up what stands before it
            break
        kept += len(each)
    assert evaluated <= max(len(goal) - kept, 1)


@given(
    header=documents.filter(bool),
    dropped=documents.filter(bool),
    rest=documents.filter(bool),
    reply=loose,
    new=documents.filter(bool),
)
def test_dropping_old_messages_costs_only_what_is_new(
    header: list[Ids], dropped: list[Ids], rest: list[Ids], reply: list[int], new: list[Ids]
) -> None:
    """The last block was open and has grown by a reply since, and by its end."""
    held = held_of([*header, *dropped, *rest], reply)
    grown = (*rest[-1], *reply, 7)
    wanted = Blocks.of([*header, *rest[:-1], grown, *new])
    steps = plan(held, wanted, shift=True)
    assert steps.evaluate <= 1 + sum(map(len, new))


@given(document=documents, new=documents)
def test_a_continued_prompt_costs_only_what_is_new(document: list[Ids], new: list[Ids]) -> None:
    held = Blocks.of(document)
    steps = plan(held, Blocks.of([*document, *new]), logits={len(held)})
    assert steps.evaluate == sum(map(len, new))


@given(document=documents, loose=loose, length=st.integers(0, 40))
def test_a_cut_leaves_whole_blocks_and_loose_ids(
    document: list[Ids], loose: list[int], length: int
) -> None:
    held = held_of(document, loose)
    whole = held.ids[:]
    held.cut(length)
    assert held.ids == whole[:length]
    assert all(held.block(index) == tuple(document[index]) for index in range(len(held.ends)))
