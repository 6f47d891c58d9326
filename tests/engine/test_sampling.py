"""Sampler values, the presets of the model card, and the chains that come of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shoritui.engine import ORDER, Sampling, changed, presets
from shoritui.engine.choosing import Chooser
from shoritui.engine.llama import Model, Sampler
from shoritui.engine.sampling import Step, chain
from shoritui.errors import UserError


@pytest.fixture(scope="module")
def vocabulary(model: Path) -> Model:
    return Model(model, vocab_only=True)


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


def test_the_order_changes_what_survives(vocabulary: Model) -> None:
    logits = np.full(vocabulary.n_vocab, -100.0, dtype=np.float32)
    logits[100:104] = (0.0, -1.0, -2.0, -3.0)
    cold = changed(Sampling(), {"temperature": 4.0, "min_p": 0.3})
    late = drawn(vocabulary, cold, logits)
    early = drawn(vocabulary, changed(cold, {"order": ["temperature", *ORDER[:-1]]}), logits)
    assert late == {100, 101}
    assert early == {100, 101, 102, 103}


def drawn(vocabulary: Model, sampling: Sampling, logits: np.ndarray, draws: int = 200) -> set[int]:
    with Chooser(vocabulary).begin(changed(sampling, {"seed": 3}), ()) as choice:
        return {choice.token(logits) for _ in range(draws)}


def test_penalties_see_words_but_never_the_marks_of_a_block(vocabulary: Model) -> None:
    assert vocabulary.close is not None
    assert vocabulary.newline is not None
    word = vocabulary.tokenize(" the")[0]
    logits = np.zeros(vocabulary.n_vocab, dtype=np.float32)
    sampling = Sampling(temperature=0, presence_penalty=2.0, frequency_penalty=1.0)
    for token, best in ((vocabulary.close, True), (vocabulary.newline, True), (word, False)):
        logits[:] = 0
        logits[token] = 1
        with Chooser(vocabulary).begin(sampling, [token] * 50) as choice:
            assert (choice.token(logits) == token) is best


def test_a_message_never_opens_a_block(vocabulary: Model) -> None:
    assert vocabulary.open is not None
    logits = np.zeros(vocabulary.n_vocab, dtype=np.float32)
    logits[vocabulary.open] = 50
    assert vocabulary.open not in drawn(vocabulary, Sampling(), logits, draws=50)


def test_mirostat_goes_on_from_message_to_message(vocabulary: Model) -> None:
    logits = np.full(vocabulary.n_vocab, -100.0, dtype=np.float32)
    logits[:64] = 0  # six bits of surprise: more than the first mu of 4 lets through
    sampling = Sampling(mirostat=2, mirostat_tau=2.0, mirostat_eta=0.1)
    chooser = Chooser(vocabulary)
    messages = []
    for _ in range(3):
        with chooser.begin(sampling, ()) as choice:
            messages.append({choice.token(logits) for _ in range(20)})
    assert len(messages[0] - {vocabulary.open}) <= 20
    assert len(messages[2]) > 1 or len(messages[1]) > 1
    with Chooser(vocabulary).begin(sampling, ()) as choice:
        assert len({choice.token(logits) for _ in range(5)}) == 1


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
