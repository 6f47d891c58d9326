"""Sampler values, the presets of the model card, and the chains that come of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoritui.engine import ORDER, Sampling, changed, presets
from shoritui.engine.choosing import Choice, Chooser
from shoritui.engine.context import AbortFlag, Context
from shoritui.engine.model import Model
from shoritui.engine.samplers import Sampler
from shoritui.engine.sampling import Step, chain
from shoritui.errors import UserError


@pytest.fixture(scope="module")
def context(model: Path) -> Context:
    context = Context(Model(model), n_cells=64, n_batch=8, n_threads=1, abort=AbortFlag())
    context.decode([1], seq=0, begin=0)
    return context


class Fixed:
    """A vocabulary whose model always finds the same tokens likely."""

    def __init__(self, context: Context, model: Path) -> None:
        self.context = context
        self.model = Model(model, vocab_only=True)
        self.likely: dict[int, float] = {}
        self.others = -100.0

    def token(self, choice: Choice) -> int:
        logits = self.context.logits()
        logits[:] = self.others
        for token, score in self.likely.items():
            logits[token] = score
        return choice.token(self.context)


@pytest.fixture
def fixed(context: Context, model: Path) -> Fixed:
    return Fixed(context, model)


def shipped(name: str) -> tuple[Step, ...]:
    found, problems = presets(None)
    assert problems == []
    return chain(found[name].sampling, seed=7)


def test_the_main_choice_of_the_card() -> None:
    penalties, *others = shipped("card-main")
    assert penalties == Step("penalties", (1024, 1.0, 0.0, 0.40))
    assert others == [Step("min_p", (0.075,)), Step("dist", (7,))]


def test_the_first_alternative_has_its_temperature_last() -> None:
    penalties, *others = shipped("card-alternative-1")
    assert penalties.values[1:] == (1.0, 0.12, 0.0)
    assert others == [Step("min_p", (0.40,)), Step("temperature", (2.45,)), Step("dist", (7,))]


def test_the_second_alternative_is_mirostat_behind_a_guard() -> None:
    assert shipped("card-alternative-2") == (
        Step("top_k", (1000,)),
        Step("mirostat", (7, 2.9, 0.019)),
    )


def test_neutral_draws_from_the_model_itself() -> None:
    assert shipped("neutral") == (Step("dist", (7,)),)


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (Step("penalties", (64, 1.1, 0.1, 0.1)), "penalties"),
        (Step("top_k", (40,)), "top-k"),
        (Step("typical_p", (0.9,)), "typical"),
        (Step("top_p", (0.9,)), "top-p"),
        (Step("min_p", (0.1,)), "min-p"),
        (Step("temperature", (0.7,)), "temp"),
        (Step("dist", (1,)), "dist"),
        (Step("greedy"), "greedy"),
        (Step("mirostat", (1, 2.9, 0.019)), "mirostat-v2"),
    ],
)
def test_each_step_is_the_sampler_of_its_name(step: Step, name: str) -> None:
    sampler = Sampler(step, n_vocab=64)
    assert sampler.name.lstrip("+") == name
    sampler.free()


def test_the_order_of_the_chain_is_the_order_asked_for() -> None:
    order = tuple(reversed(ORDER))
    sampling = Sampling(order=order, temperature=2.0, min_p=0.1, top_k=5, presence_penalty=0.2)
    names = [step.name for step in chain(sampling, 1)]
    assert names == ["temperature", "min_p", "top_k", "penalties", "dist"]


def drawn(fixed: Fixed, sampling: Sampling, draws: int = 200) -> set[int]:
    with Chooser(fixed.model).begin(changed(sampling, {"seed": 3}), ()) as choice:
        return {fixed.token(choice) for _ in range(draws)}


def test_the_order_changes_what_survives(fixed: Fixed) -> None:
    fixed.likely = {100: 0.0, 101: -1.0, 102: -2.0, 103: -3.0}
    late = changed(Sampling(), {"temperature": 4.0, "min_p": 0.3})
    early = changed(late, {"order": ["temperature", *ORDER[:-1]]})
    assert drawn(fixed, late) == {100, 101}
    assert drawn(fixed, early) == {100, 101, 102, 103}


def test_penalties_see_words_but_never_the_marks_of_a_block(fixed: Fixed) -> None:
    close, newline = fixed.model.close, fixed.model.newline
    assert close is not None
    assert newline is not None
    (word, other) = fixed.model.tokenize(" the")[0], fixed.model.tokenize(" and")[0]
    sampling = Sampling(temperature=0, presence_penalty=1.0, frequency_penalty=0.1)
    for mark in (close, newline):
        fixed.likely = {mark: 1.0, other: 0.5}
        with Chooser(fixed.model).begin(sampling, [word]) as choice:
            assert {fixed.token(choice) for _ in range(50)} == {mark}
    fixed.likely = {word: 1.0, other: 0.5}
    with Chooser(fixed.model).begin(sampling, []) as choice:
        assert [fixed.token(choice) for _ in range(2)] == [word, other]
    with Chooser(fixed.model).begin(sampling, [word]) as choice:
        assert fixed.token(choice) == other
    # A newline between leaves what was counted before it.
    with Chooser(fixed.model).begin(sampling, [word]) as choice:
        fixed.likely = {newline: 9.0}
        assert fixed.token(choice) == newline
        fixed.likely = {word: 1.0, other: 0.5}
        assert fixed.token(choice) == other


def test_penalties_look_back_on_their_window_only(fixed: Fixed) -> None:
    word, other, third = (fixed.model.tokenize(text)[0] for text in (" the", " and", " a"))
    sampling = Sampling(temperature=0, presence_penalty=1.0, penalty_window=2)
    fixed.likely = {word: 1.0, other: 0.5, third: 0.25}
    with Chooser(fixed.model).begin(sampling, []) as choice:
        assert [fixed.token(choice) for _ in range(4)] == [word, other, third, word]


def test_a_message_never_opens_a_block(fixed: Fixed) -> None:
    assert fixed.model.open is not None
    fixed.likely, fixed.others = {fixed.model.open: 50.0}, 0.0
    assert fixed.model.open not in drawn(fixed, Sampling(), draws=50)
    assert fixed.model.open not in drawn(fixed, Sampling(temperature=0), draws=1)


def test_mirostat_goes_on_from_message_to_message(fixed: Fixed) -> None:
    # Six bits of surprise, but only four pass at first: the first token is drawn again and again,
    # each time without surprise, until Mirostat has opened wide enough.
    fixed.likely = dict.fromkeys(range(64, 128), 0.0)
    sampling = Sampling(mirostat=2, mirostat_tau=2.0, mirostat_eta=0.1)
    chooser = Chooser(fixed.model)
    messages = []
    for _ in range(4):
        with chooser.begin(sampling, ()) as choice:
            messages.append({fixed.token(choice) for _ in range(5)})
    assert len(messages[0]) == 1
    assert len(messages[-1]) > 1
    with chooser.begin(changed(sampling, {"seed": 1}), ()) as choice:
        assert len({fixed.token(choice) for _ in range(5)}) == 1


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"min_q": 0.1}, "min_q is not a sampler value: did you mean min_p?"),
        ({"zebra": 1}, "zebra is not a sampler value."),
        ({"min_p": 2}, "min_p is 2: expected a number from 0.0 to 1.0."),
        ({"min_p": float("nan")}, "min_p is nan: expected a number from 0.0 to 1.0."),
        ({"top_k": 1.5}, "top_k is 1.5: expected a whole number from 0 to 1,000,000."),
        ({"temperature": True}, "temperature is True: expected a number from 0.0 to 20.0."),
        ({"mirostat": 1}, "mirostat is 1: expected 0 (off) or 2."),
        ({"order": "min_p"}, f"order is 'min_p': expected a list of {', '.join(ORDER)}."),
        ({"order": ["min_p"]}, f"order is min_p: expected each of {', '.join(ORDER)} once."),
    ],
)
def test_bad_values_are_told_in_one_sentence(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        changed(Sampling(), values)
    assert str(caught.value) == sentence
