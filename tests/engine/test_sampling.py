"""Sampler values, the presets of the model card, and the steps that come of them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.engine import ORDER, Sampling, changed, presets
from shoritui.engine.library import L
from shoritui.engine.samplers import dry, samplers
from shoritui.engine.steps import Step, chain
from shoritui.errors import UserError


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


def test_mirostat_is_guarded_unless_a_guard_is_set() -> None:
    assert chain(Sampling(mirostat=2), 7)[0] == Step("top_k", (1000,))
    assert chain(Sampling(mirostat=2, top_k=50), 7)[0] == Step("top_k", (50,))


def test_adaptive_p_never_draws_from_all_tokens() -> None:
    assert chain(Sampling(adaptive_target=0.5), 7)[0] == Step("min_p", (0.02,))
    assert chain(Sampling(adaptive_target=0.5, min_p=0.1), 7)[0] == Step("min_p", (0.1,))


def test_neutral_draws_from_the_model_itself() -> None:
    assert shipped("neutral") == (Step("dist", (7,)),)


def test_every_value_reaches_its_step() -> None:
    sampling = Sampling(
        repeat_penalty=1.1,
        frequency_penalty=0.2,
        presence_penalty=0.3,
        penalty_window=64,
        dry_multiplier=0.8,
        dry_base=1.5,
        dry_allowed_length=3,
        dry_window=500,
        top_n_sigma=1.5,
        top_k=40,
        typical_p=0.9,
        top_p=0.8,
        min_p=0.05,
        xtc_probability=0.5,
        xtc_threshold=0.2,
        temperature=1.2,
        dynatemp_range=0.4,
        dynatemp_exponent=2.0,
        adaptive_target=0.6,
        adaptive_decay=0.8,
    )
    assert chain(sampling, 7) == (
        Step("penalties", (64, 1.1, 0.2, 0.3)),
        Step("dry", (0.8, 1.5, 3, 500)),
        Step("top_n_sigma", (1.5,)),
        Step("top_k", (40,)),
        Step("typical_p", (0.9,)),
        Step("top_p", (0.8,)),
        Step("min_p", (0.05,)),
        Step("xtc", (0.5, 0.2, 8)),
        Step("dynamic_temperature", (1.2, 0.4, 2.0)),
        Step("adaptive_p", (7, 0.6, 0.8)),
    )


@pytest.mark.parametrize(
    ("step", "names"),
    [
        (Step("penalties", (64, 1.1, 0.1, 0.1)), ["penalties"]),
        (Step("top_n_sigma", (1.0,)), ["top-n-sigma", "min-p"]),
        (Step("top_k", (40,)), ["top-k"]),
        (Step("typical_p", (0.9,)), ["min-p", "typical"]),
        (Step("top_p", (0.9,)), ["top-p"]),
        (Step("min_p", (0.1,)), ["min-p"]),
        (Step("xtc", (0.5, 0.1, 1)), ["xtc"]),
        (Step("temperature", (0.7,)), ["temp"]),
        (Step("dynamic_temperature", (0.7, 0.2, 1.0)), ["temp-ext"]),
        (Step("dist", (1,)), ["dist"]),
        (Step("greedy"), ["greedy"]),
    ],
)
def test_each_step_is_the_sampler_of_its_name(step: Step, names: list[str]) -> None:
    made = samplers(step, n_vocab=64)
    assert [sampler.name.lstrip("+") for sampler in made] == names
    for sampler in made:
        sampler.free()


def test_dry_that_is_on_is_dry() -> None:
    sampler = dry(L.llama_vocab_p_ctypes(), (0.8, 1.75, 2, 64), ())
    assert sampler.name == "dry"
    sampler.free()


def test_the_order_of_the_chain_is_the_order_asked_for() -> None:
    order = tuple(reversed(ORDER))
    sampling = Sampling(order=order, temperature=2.0, min_p=0.1, top_k=5, presence_penalty=0.2)
    names = [step.name for step in chain(sampling, 1)]
    assert names == ["temperature", "min_p", "top_k", "penalties", "dist"]


@given(order=st.permutations(ORDER), dropped=st.sets(st.sampled_from(ORDER)))
def test_an_order_of_some_steps_becomes_one_of_all(order: list[str], dropped: set[str]) -> None:
    some = tuple(name for name in order if name not in dropped)
    whole = Sampling(order=some).order
    assert sorted(whole) == sorted(ORDER)
    assert tuple(name for name in whole if name in some) == some
    assert Sampling(order=whole).order == whole


def test_an_order_saved_before_a_step_was_known_gets_it_where_it_usually_stands() -> None:
    old = ("penalties", "top_k", "typical_p", "top_p", "min_p", "temperature")
    assert Sampling(order=old).order == ORDER
    early = ("penalties", "temperature", "top_k", "typical_p", "top_p", "min_p")
    assert Sampling(order=early).order == (
        "penalties",
        "dry",
        "top_n_sigma",
        "temperature",
        "top_k",
        "typical_p",
        "top_p",
        "min_p",
        "xtc",
    )


def test_values_travel_as_they_are() -> None:
    sampling = changed(
        Sampling(),
        {"banned": ["a shiver", "orbs"], "logit_bias": {" the": -2.5}, "order": ["min_p"]},
    )
    assert sampling.banned == ("a shiver", "orbs")
    assert sampling.logit_bias == ((" the", -2.5),)
    packed = msgspec.msgpack.encode(sampling)
    assert msgspec.msgpack.decode(packed, type=Sampling) == sampling


def test_lists_are_taken_from_json() -> None:
    sampling = changed(Sampling(), {"logit_bias": [["the", 1]], "dry_breakers": []})
    assert (sampling.logit_bias, sampling.dry_breakers) == ((("the", 1),), ())


EACH = ", ".join(ORDER)


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
        (
            {"mirostat": 2, "adaptive_target": 0.5},
            "mirostat and adaptive_target both draw the token: set one to 0.",
        ),
        ({"xtc_threshold": 0.6}, "xtc_threshold is 0.6: expected a number from 0.0 to 0.5."),
        ({"dry_base": 0.5}, "dry_base is 0.5: expected a number from 1.0 to 10.0."),
        ({"order": "min_p"}, f"order is 'min_p': expected some of {EACH}."),
        ({"order": ["min_q"]}, "order names 'min_q': did you mean min_p?"),
        ({"order": ["zebra"]}, f"order names 'zebra': expected some of {EACH}."),
        ({"order": ["xtc", "xtc"]}, "order names xtc twice: each step is done once."),
        ({"banned": "orbs"}, "banned is 'orbs': expected a list of texts."),
        ({"banned": [" "]}, "banned has an empty text: leave it out."),
        ({"banned": ["a▄"]}, "banned has 'a▄': the marks of blocks are not its to change."),
        ({"banned": ["a" * 201]}, "banned has a text of 201 characters: at most 200."),
        ({"logit_bias": 3}, "logit_bias is 3: expected texts, each with a number."),
        (
            {"logit_bias": {"▄": -3}},
            "logit_bias has '▄': the marks of blocks are not its to change.",
        ),
        (
            {"logit_bias": {"the": "low"}},
            "logit_bias of 'the' is 'low': expected a number from -100.0 to 100.0.",
        ),
    ],
)
def test_bad_values_are_told_in_one_sentence(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        changed(Sampling(), values)
    assert str(caught.value) == sentence
