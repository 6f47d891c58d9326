from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shoritui.finetune.cache.keys import Root, keys_of
from shoritui.finetune.config.model import Base, Config, Lora, Prompt, Tier, Train, Watch

CONFIG = Config(
    path=Path("/here/finetune.toml"),
    tiers=(
        Tier("low", ("low/*",)),
        Tier("mid", ("mid/*",), after="low", train=Train(learning_rate=5.5e-5)),
        Tier("high", ("high/*",), after="mid"),
        Tier("top", ("top/*",), after="high"),
        Tier("top-pg13", ("top/*",), after="high", where="not explicit"),
    ),
)
ROOT = Root("base", "tokenizer", Base(), Lora())
SAMPLES = {tier.name: f"samples of {tier.name}" for tier in CONFIG.tiers}
BELOW = {
    "low": {"low", "mid", "high", "top", "top-pg13"},
    "mid": {"mid", "high", "top", "top-pg13"},
    "high": {"high", "top", "top-pg13"},
    "top": {"top"},
    "top-pg13": {"top-pg13"},
}

OTHER_TRAIN: dict[str, Any] = {
    "learning_rate": 1e-3,
    "epochs": 3,
    "sequence_len": 4096,
    "packing": False,
    "accumulation": 3,
    "micro_batch": 2,
    "optimizer": "adamw",
    "schedule": "cosine",
    "warmup_steps": 7,
    "warmup_ratio": 0.1,
    "weight_decay": 0.0,
    "beta1": 0.8,
    "beta2": 0.99,
    "epsilon": 1e-6,
    "max_grad_norm": 0.5,
    "precision": "fp32",
    "tf32": False,
    "neftune": 5.0,
    "carry_optimizer": True,
    "keep": "best",
    "seed": 7,
}
OTHER_LORA: dict[str, Any] = {
    "r": 8,
    "alpha": 32.0,
    "dropout": 0.0,
    "targets": ("q_proj",),
    "rslora": True,
    "plus": 16.0,
}
UNWATCHED = Watch(
    evaluate_every=3,
    save_every=1,
    reply_every=0,
    rung="inputs",
    device="cpu",
    sharding="base",
    prompts=(Prompt("one", "", "Mara"),),
)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def with_train(name: str, **changes: Any) -> Config:
    return replace(
        CONFIG,
        tiers=tuple(
            replace(tier, train=replace(tier.train, **changes)) if tier.name == name else tier
            for tier in CONFIG.tiers
        ),
    )


BEFORE = keys_of(CONFIG, ROOT, SAMPLES)


@given(st.sampled_from(sorted(BELOW)), st.sampled_from(sorted(OTHER_TRAIN)))
def test_what_changes_the_maths_of_a_tier_changes_it_and_those_after_it(
    name: str, field: str
) -> None:
    after = keys_of(with_train(name, **{field: OTHER_TRAIN[field]}), ROOT, SAMPLES)
    assert changed(BEFORE, after) == BELOW[name]


def test_a_share_of_warm_up_that_does_not_count_changes_nothing() -> None:
    steps = with_train("low", warmup_steps=7)
    both = with_train("low", warmup_steps=7, warmup_ratio=0.1)
    assert keys_of(both, ROOT, SAMPLES) == keys_of(steps, ROOT, SAMPLES)
    assert changed(BEFORE, keys_of(both, ROOT, SAMPLES)) == BELOW["low"]


@given(st.sampled_from(sorted(BELOW)))
def test_other_samples_change_a_tier_and_those_after_it(name: str) -> None:
    after = keys_of(CONFIG, ROOT, {**SAMPLES, name: "others"})
    assert changed(BEFORE, after) == BELOW[name]


@given(st.sampled_from(sorted(OTHER_LORA)))
def test_another_adapter_changes_every_tier(field: str) -> None:
    lora = replace(Lora(), **{field: OTHER_LORA[field]})
    assert changed(BEFORE, keys_of(CONFIG, replace(ROOT, lora=lora), SAMPLES)) == BELOW["low"]


def test_another_base_vocabulary_or_quantisation_changes_every_tier() -> None:
    for root in (
        replace(ROOT, base="another"),
        replace(ROOT, tokenizer="another"),
        replace(ROOT, quantisation=Base(quantize="none")),
        replace(ROOT, quantisation=Base(double_quant=False)),
    ):
        assert changed(BEFORE, keys_of(CONFIG, root, SAMPLES)) == BELOW["low"]


def test_every_setting_of_the_maths_is_tried_here() -> None:
    assert OTHER_TRAIN.keys() == {field.name for field in dataclasses.fields(Train)}
    assert OTHER_LORA.keys() == {field.name for field in dataclasses.fields(Lora)}
    for field in dataclasses.fields(Watch):
        assert getattr(UNWATCHED, field.name) != getattr(Watch(), field.name)


def test_places_names_and_what_is_watched_change_nothing() -> None:
    names = {tier.name: f"my {tier.name}" for tier in CONFIG.tiers}
    tiers = tuple(
        replace(tier, name=names[tier.name], after=names.get(tier.after, ""), files=("else/*",))
        for tier in CONFIG.tiers
    )
    base = Base(model="/elsewhere/base.gguf", revision="v2")
    other = Config(Path("/there/a.toml"), tiers, base, watch=UNWATCHED, output="out")
    samples = {names[name]: sample for name, sample in SAMPLES.items()}
    after = keys_of(other, replace(ROOT, quantisation=base), samples)
    assert list(after.values()) == list(BEFORE.values())


def test_when_the_best_adapter_is_kept_the_steps_between_evaluations_matter() -> None:
    best = with_train("top", keep="best")
    rarer = replace(best, watch=replace(best.watch, evaluate_every=50))
    after = keys_of(rarer, ROOT, SAMPLES)
    assert changed(keys_of(best, ROOT, SAMPLES), after) == {"top"}


def test_two_packs_a_step_are_two_however_they_are_written() -> None:
    one_by_one = keys_of(with_train("low", accumulation=2, micro_batch=1), ROOT, SAMPLES)
    at_once = keys_of(with_train("low", accumulation=1, micro_batch=2), ROOT, SAMPLES)
    assert one_by_one == at_once


def test_whole_numbers_stand_for_fractions() -> None:
    assert keys_of(CONFIG, replace(ROOT, lora=Lora(alpha=16)), SAMPLES) == BEFORE


def test_the_order_of_targets_is_nothing_to_the_maths() -> None:
    one = replace(ROOT, lora=Lora(targets=("q_proj", "v_proj")))
    two = replace(ROOT, lora=Lora(targets=("v_proj", "q_proj")))
    assert keys_of(CONFIG, one, SAMPLES) == keys_of(CONFIG, two, SAMPLES)
