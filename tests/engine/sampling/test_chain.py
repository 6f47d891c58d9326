"""The steps that sampler values make, and the samplers of llama.cpp that do them."""

from __future__ import annotations

import pytest

from shoritui.engine import ORDER, Sampling, presets
from shoritui.engine.llama.library import L
from shoritui.engine.sampling.chain import Step, build, build_dry, steps
from shoritui.engine.sampling.llama_samplers import LlamaSampler


def name_of(sampler: LlamaSampler) -> str:
    name: bytes = L.llama_sampler_name(sampler._handle)
    return name.decode()


def shipped(name: str) -> tuple[Step, ...]:
    found, problems = presets(None)
    assert problems == []
    return steps(found[name].sampling, seed=7)


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
    assert steps(Sampling(mirostat=2), 7)[0] == Step("top_k", (1000,))
    assert steps(Sampling(mirostat=2, top_k=50), 7)[0] == Step("top_k", (50,))


def test_adaptive_p_never_draws_from_all_tokens() -> None:
    assert steps(Sampling(adaptive_target=0.5), 7)[0] == Step("min_p", (0.02,))
    assert steps(Sampling(adaptive_target=0.5, min_p=0.1), 7)[0] == Step("min_p", (0.1,))


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
    assert steps(sampling, 7) == (
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
    made = build(step, n_vocab=64)
    assert [name_of(sampler).lstrip("+") for sampler in made] == names
    for sampler in made:
        sampler.free()


def test_dry_that_is_on_is_dry() -> None:
    sampler = build_dry(L.llama_vocab_p_ctypes(), (0.8, 1.75, 2, 64), ())
    assert name_of(sampler) == "dry"
    sampler.free()


def test_the_order_of_the_chain_is_the_order_asked_for() -> None:
    order = tuple(reversed(ORDER))
    sampling = Sampling(order=order, temperature=2.0, min_p=0.1, top_k=5, presence_penalty=0.2)
    names = [step.name for step in steps(sampling, 1)]
    assert names == ["temperature", "min_p", "top_k", "penalties", "dist"]
