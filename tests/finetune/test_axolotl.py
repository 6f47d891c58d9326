"""axolotl's files: the model card's own list, a round trip, and nothing dropped in silence."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from shoritui.blockml import parse
from shoritui.cli import main
from shoritui.errors import UserError
from shoritui.finetune.axolotl import config_of, files_of, settings_of
from shoritui.finetune.axolotl.keys import (
    FORMER_NAMES,
    OPTIMIZERS,
    PAIRED,
    PLAIN,
    READ_APART,
    REFUSED,
    SCHEDULES,
)
from shoritui.finetune.config.load import load, parse_config
from shoritui.finetune.config.model import Base, Config, Data, Lora, Preference, Tier, Train
from shoritui.finetune.config.starter import shipped
from shoritui.finetune.config.write import text_of
from shoritui.finetune.data.conversations import find, read
from shoritui.text import one_line
from tests.finetune.config.strategies import configs
from tests.finetune.data.conftest import shipped_tokenizer

CARD = """\
base_model: /home/anon/AI-Models/LLM/Mistral-7B-Instruct-v0.2
load_in_4bit: true
adapter: qlora

sequence_len: 16384
sample_packing: true
pad_to_sequence_len: false

gradient_accumulation_steps: 2
micro_batch_size: 1
eval_batch_size: 1
num_epochs: 2
optimizer: adamw_bnb_8bit
lr_scheduler: constant
learning_rate: 0.0000725 -> 0.0000550 -> 0.0000375 -> 0.0000350
weight_decay: 0.05

train_on_inputs: true
bf16: true
fp16: false
tf32: true

lora_r: 20
lora_alpha: 16
lora_dropout: 0.1
lora_target_linear: true
"""
SHORT = "base_model: a/b\nadapter: lora\nlearning_rate: 1e-4\nlora_target_linear: true\n"
QUIET = (
    "lr_scheduler: constant\ntrain_on_inputs: true\nlora_target_linear: true\n"
    "datasets:\n  - path: data.jsonl\n    type: completion\n"
)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def taken(tmp_path: Path, *texts: str) -> tuple[Config, list[str]]:
    files = [write(tmp_path / f"{n}.yaml", text) for n, text in enumerate(texts)]
    return config_of(files, tmp_path / "finetune.toml")


def test_the_model_cards_list_becomes_the_config_that_ships(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card, target = write(tmp_path / "card.yml", CARD), tmp_path / "finetune.toml"
    assert main(["finetune", "import-axolotl", str(card), "--to", str(target)]) == 0
    config, ours = load(target), shipped(target)
    names = ["low", "mid", "high", "top"]
    assert [tier.name for tier in config.tiers] == names
    assert [tier.after for tier in config.tiers] == ["", *names[:3]]
    assert [tier.train for tier in config.tiers] == [tier.train for tier in ours.tiers[:4]]
    assert config.lora == ours.lora
    base = replace(ours.base, model="/home/anon/AI-Models/LLM/Mistral-7B-Instruct-v0.2")
    assert config.base == base
    *notes, last = capsys.readouterr().out.splitlines()
    assert "4 tiers: low, mid, high, top" in last
    for key in ("eval_batch_size", "excess_length_strategy", "datasets"):
        assert any(f"card.yml: {key}: " in note for note in notes)


def test_what_is_there_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card, target = write(tmp_path / "card.yml", CARD), write(tmp_path / "finetune.toml", "mine")
    assert main(["finetune", "import-axolotl", str(card), "--to", str(target)]) == 1
    assert "there already" in capsys.readouterr().err
    assert target.read_text() == "mine"


def test_what_is_not_given_is_what_axolotl_takes(tmp_path: Path) -> None:
    config, _ = taken(tmp_path, SHORT)
    (tier,) = config.tiers
    assert tier.train == Train(
        learning_rate=1e-4,
        epochs=1,
        sequence_len=512,
        packing=False,
        accumulation=1,
        optimizer="adamw",
        schedule="cosine",
        warmup_ratio=0.03,
        weight_decay=0.0,
        tf32=False,
    )
    assert config.lora == Lora(r=8, alpha=8, dropout=0.0)
    assert config.base == Base("a/b", quantize="none")
    assert tier.data == Data(evaluation=0.0)


@pytest.mark.parametrize(
    ("lines", "note"),
    [
        ("optimizer: lion_8bit", "optimizer: lion_8bit is not known here; adamw is taken"),
        ("lr_scheduler: rex", "lr_scheduler: rex is not known here; cosine is taken"),
        ("lr_scheduler: linear", "warmup_ratio: it is not given; 0.03 is taken"),
        ("warmup_steps: 5", "warmup_steps: a constant rate has none in axolotl"),
        ("num_epochs: 2.5", "num_epochs: 2.5 is no whole number; 3 is taken"),
        ("train_on_inputs: false", "train_on_inputs: all blocks are learnt"),
        ("fp16: true\nbf16: false", "fp16: fp16 is not known here"),
        ("lora_target_linear: false", "lora_target_linear: it is not given"),
        ("bnb_config_kwargs: {bnb_4bit_quant_type: fp4}", 'bnb_4bit_quant_type = "fp4"'),
        ("peft_use_dora: true", "peft_use_dora: DoRA is not known here"),
        ("some_new_key: 3", "some_new_key: it has no counterpart here"),
        ("flash_attention: true", "flash_attention: attention is always"),
        ("lora_model_dir: elsewhere", "no file before writes to elsewhere; it goes on from the"),
        ("datasets: [{path: x, type: alpaca}]", "x is of type alpaca: it is read, and learnt as"),
        ("datasets: [{path: x, type: context_qa}]", "x is of type context_qa; no prompt format is"),
        (
            "datasets: [{path: x, type: chat_template, roles_to_train: [gpt]}]",
            "roles_to_train of x is not known here",
        ),
        (
            "datasets: [{path: x, type: chat_template, field_messages: rows}]",
            "field_messages of x is not known here",
        ),
        ("datasets: [{path: x, field: body}]", "field of x is not known here"),
        ("datasets: []", "datasets: none is named; put conversations into data/0"),
        ("datasets: [{path: x, type: {format: a}}]", "x is of a format of its own; no prompt"),
        ("datasets: [{path: x, shards: 10}]", "shards of x is not known here"),
        ("eval_steps: 0.05", "eval_steps: 0.05 is a share of the steps; say their number in"),
        ("batch_size: 8", "batch_size: 8 micro-steps are taken for it"),
        ("load_in_8bit: true", "load_in_8bit: the base is held in 4 bits or as it is"),
        ("plugins: [axolotl.integrations.spectrum.SpectrumPlugin]", "plugins: spectrum has no"),
        ("tokens: [<|im_start|>]", "tokens: no token is added to the vocabulary here"),
        ("cosine_min_lr_ratio: 0.1", "cosine_min_lr_ratio: the cosine falls to 0 here"),
        ("shuffle_some: false", "shuffle_some: it has no counterpart here"),
        ("lora_target_modules: [lm_head]", "lora_target_modules: lm_head is left as it is"),
        ("hub_model_id: a/b", "hub_model_id: nothing is ever sent from here"),
        ("3: x", "3: it has no counterpart here"),
    ],
)
def test_what_has_no_counterpart_is_told(tmp_path: Path, lines: str, note: str) -> None:
    keys = [line.partition(":")[0] for line in lines.splitlines()]
    base = SHORT + "".join(QUIET)
    kept = yaml.safe_load(base)
    for key in keys:
        kept.pop(key, None)
    _, notes = taken(tmp_path, yaml.safe_dump(kept) + lines + "\n", SHORT)
    assert any(note in each for each in notes), notes
    assert all(each.startswith(("0.yaml: ", "1.yaml: ")) for each in notes)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("learning_rate: 1", "it names no base_model"),
        ("- 1", "it names no base_model"),
        ("base_model: x\n  y: [", "line 2: this is not YAML"),
        ("base_model: x\nadapter: lora\n", "learning_rate is missing"),
        (SHORT + "num_epochs: many\n", 'x.yaml: num_epochs should be a number, not "many"'),
        (SHORT + "weight_decay: .nan\n", "weight_decay should be a number"),
        (SHORT + "datasets: 3\n", "datasets should be a list"),
        (SHORT + "datasets: false\n", "datasets should be a list"),
        (SHORT + "datasets: [{path: x, data_files: {a: b}}]\n", "datasets: data_files of x should"),
        (SHORT + "sample_packing: perhaps\n", 'sample_packing should be true or false, not "per'),
        (SHORT + "lora_r: 8.5\n", "x.yaml: lora_r should be a whole number, not 8.5"),
        (SHORT + "lora_r: " + "9" * 99 + "\n", "x.yaml: lora_r should be a whole number of 1 or"),
        (SHORT + "seed: 0x" + "f" * 9999 + "\n", "x.yaml: seed should be a number, not a number"),
        (
            SHORT + "x: " + "9" * 9999 + "\n",
            "x.yaml: line 5: this value is not what it looks like",
        ),
        (SHORT + "x: 2024-99-99\n", "x.yaml: line 5: this value is not what it looks like"),
        (SHORT + "x: !!python/object/apply:os.system [ls]\n", "x.yaml: line 5: this is not YAML"),
        (SHORT + "x: " + "[" * 9999, "line 5: this is not YAML (exceeded maximum nesting"),
        (SHORT + "#" * 200_000, "x.yaml: this is too long for a config"),
        (SHORT + "val_set_size: 1\n", "x.yaml: val_set_size 1 holds everything out"),
        (SHORT + "val_set_size: -1\n", "x.yaml: val_set_size should be a number of 0 or more"),
        (SHORT + "warmup_ratio: 3\n", "x.yaml: warmup_ratio should be a share"),
        (SHORT + "num_epochs: 0\n", "x.yaml: num_epochs should be a whole number of 1 or more"),
        (SHORT + "base_model: [a]\n", "x.yaml: base_model should be text, not a list"),
        (SHORT + "base_model: " + "a" * 9999 + "\n", "x.yaml: base_model: "),
        (SHORT + "num_epochs: 1" + " -> 1" * 100 + "\n", "through more than 99 values"),
        (
            SHORT + "lora_target_linear: false\nlora_target_modules: ['.*q']\n",
            'x.yaml: lora_target_modules: ".*q" is no layer\'s name; a regular expression is no',
        ),
        (
            SHORT + "lora_target_linear: false\nlora_target_modules: '(a*)*b'\n",
            "x.yaml: lora_target_modules should be the end of a layer's name",
        ),
        (SHORT + "datasets: [3]\n", "x.yaml: datasets: each of them should have a path"),
        (SHORT + "bnb_config_kwargs: [3]\n", "bnb_config_kwargs should be a mapping"),
        (
            SHORT + "lora_target_linear: false\nlora_target_modules: 3\n",
            "lora_target_modules should be a list",
        ),
        (SHORT + "num_epochs: 1 -> 2\nsequence_len: 1 -> 2 -> 3\n", "different numbers of values"),
        (SHORT + "lora_r: 0\n", "x.yaml: lora_r should be a whole number of 1 or more, not 0"),
    ],
)
def test_what_cannot_be_understood_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    file, target = write(tmp_path / "x.yaml", text), tmp_path / "finetune.toml"
    assert main(["finetune", "import-axolotl", str(file), "--to", str(target)]) == 1
    assert sentence in capsys.readouterr().err
    assert not target.exists()


def test_merged_mappings_do_not_grow_without_end(tmp_path: Path) -> None:
    rows = ["a0: &a0 {k: 0}"]
    rows += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 60)]
    file = write(tmp_path / "x.yaml", SHORT + "\n".join(rows) + "\n")
    # Newer versions of PyYAML merge a mapping once; with older ones it is refused.
    assert main(["finetune", "import-axolotl", str(file), "--to", str(tmp_path / "f.toml")]) in (
        0,
        1,
    )


OTHER_KINDS = {
    "rl": "rl: kto",
    "adapter": "adapter:",
    "lisa_n_layers": "lisa_n_layers: 4\nlisa_step_interval: 20",
    "unfrozen_parameters": "unfrozen_parameters: [^lm_head.weight$]",
    "pretraining_dataset": "pretraining_dataset: [{path: x}]",
    "relora_steps": "relora_steps: 100",
    "reward_model": "reward_model: true",
    "process_reward_model": "process_reward_model: true",
    "kd_trainer": "kd_trainer: true",
    "plugins": "plugins: [axolotl.integrations.kd.KDPlugin]",
    "gptq": "gptq: true",
    "use_pose": "use_pose: 'true'",
}


@pytest.mark.parametrize(("key", "lines"), OTHER_KINDS.items())
def test_another_kind_of_training_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, lines: str
) -> None:
    file, target = write(tmp_path / "x.yaml", f"{SHORT}{lines}\n"), tmp_path / "finetune.toml"
    assert main(["finetune", "import-axolotl", str(file), "--to", str(target)]) == 1
    said = capsys.readouterr().err
    assert f"x.yaml: {key}" in said and "only LoRA adapters that learn text are imported" in said
    assert not target.exists()


def test_preferences_by_dpo_become_a_tier_and_go_back(tmp_path: Path) -> None:
    dpo = "rl: dpo\nrl_beta: 0.3\ndpo_label_smoothing: 0.1\ndpo_norm_loss: true\n"
    config, notes = taken(tmp_path, f"{SHORT}sequence_len: 512\n{dpo}")
    (tier,) = config.tiers
    assert tier.kind == "preference"
    assert tier.preference == Preference(0.3, 0.1, length_normalised=True, pairs=1)
    assert tier.train.sequence_len == 1024  # of both documents of a pair
    assert not [note for note in notes if "rl_beta" in note or "dpo_" in note]
    rest = replace(tier, files=("swipes.jsonl",), preference=Preference(0.3, pairs=3))
    config = replace(config, tiers=(rest,))
    row = {
        "context": "▀title\nA▄\n",
        "chosen": "▀message\nAda: Yes.▄\n",
        "rejected": ["▀message\nAda: No.▄\n", "▀message\nAda: Oh.▄\n"],
    }
    write(config.path.parent / "swipes.jsonl", json.dumps(row))
    files = dict(files_of(config))
    rows = [json.loads(line) for line in files[f"data/{tier.name}.jsonl"].splitlines()]
    prompt = "▀title\nA▄\n▀message\nAda:"
    assert rows == [
        {"prompt": prompt, "chosen": " Yes.▄", "rejected": f" {no}.▄"} for no in ("No", "Oh")
    ]
    back = yaml.safe_load(files[f"{tier.name}.yaml"])
    assert (back["rl"], back["rl_beta"], back["sequence_len"]) == ("dpo", 0.3, 512)
    assert back["gradient_accumulation_steps"] == 3 * tier.train.accumulation


def test_what_only_preferences_have_is_named_without_them(tmp_path: Path) -> None:
    config, notes = taken(tmp_path, f"{SHORT}rl_beta: 0.3\n")
    assert config.tiers[0].preference == Preference()
    assert any("rl_beta: it counts only where rl is dpo" in note for note in notes)


@pytest.mark.parametrize("adapter", ["llama-adapter", "mora", "prefix"])
def test_an_adapter_that_is_no_lora_is_refused(tmp_path: Path, adapter: str) -> None:
    with pytest.raises(UserError, match=f'0.yaml: adapter is "{adapter}"; only LoRA'):
        taken(tmp_path, f"{SHORT}adapter: {adapter}\n")


def test_what_is_switched_off_asks_for_nothing(tmp_path: Path) -> None:
    off = "rl: false\nreward_model: false\nrelora: false\nlisa_n_layers: 0\nuse_pose: no\n"
    quiet = "flash_attention: false\npeft_use_dora: false\ngptq: 'false'\nunfrozen_parameters: []\n"
    config, notes = taken(tmp_path, SHORT + off + quiet)
    assert config == taken(tmp_path, SHORT)[0] and notes == taken(tmp_path, SHORT)[1]


def test_values_are_read_as_axolotl_reads_them(tmp_path: Path) -> None:
    config, notes = taken(
        tmp_path,
        "common: &rate 2e-5\n"
        "base_model: a/b\nadapter: qlora\nload_in_4bit: 'true'\nlearning_rate: *rate\n"
        "sample_packing: 'no'\nval_set_size: 100.0\nwarmup_ratio: 0.1\nlora_r: '32'\n"
        "lora_alpha: 64\nnoisy_embedding_alpha: 5\nmicro_batch_size: 2\nbatch_size: 16\n"
        "tf32: auto\nbf16: full\nlora_target_modules: model.layers.[0-9].*[.](q|v)_proj\n"
        "wandb_notes: a -> b\n",
    )
    (tier,) = config.tiers
    train = tier.train
    assert (train.learning_rate, train.packing, train.neftune, train.tf32) == (2e-5, False, 5, True)
    assert (train.warmup_steps, train.warmup_ratio, train.accumulation) == (0, 0.1, 8)
    assert (config.lora.r, config.lora.alpha, tier.data.evaluation) == (32, 64, 100)
    assert config.lora.targets == ("model.layers.[0-9].*[.](q|v)_proj",)
    assert config.base.quantize == "nf4"
    assert any("common: it has no counterpart" in note for note in notes)


@pytest.mark.parametrize(
    ("lines", "steps", "ratio"),
    [
        ("", 0, 0.03),
        ("warmup_steps: 0\n", 0, 0.0),
        ("warmup_ratio: 0.0\n", 0, 0.0),
        ("warmup_steps: 10\n", 10, 0.0),
        ("warmup_ratio: '0.05'\n", 0, 0.05),
        ("warmup_ratio: 0.05\nlr_scheduler: constant_with_warmup\n", 0, 0.05),
        ("warmup_ratio: 0.05\nlr_scheduler: constant\n", 0, 0.0),
    ],
)
def test_warm_up(tmp_path: Path, lines: str, steps: int, ratio: float) -> None:
    train = taken(tmp_path, SHORT + lines)[0].tiers[0].train
    assert (train.warmup_steps, train.warmup_ratio) == (steps, ratio)


def test_data_files_of_a_kind_of_file(tmp_path: Path) -> None:
    write(tmp_path / "data" / "a.jsonl", "")
    text = "datasets:\n  - path: json\n    data_files: [data/a.jsonl, data/b.jsonl]\n"
    config, notes = taken(tmp_path, SHORT + text)
    assert config.tiers[0].files == ("data/a.jsonl", "data/b.jsonl")
    assert [note for note in notes if "there is no" in note] == [
        "0.yaml: datasets: there is no data/b.jsonl here; put conversations there."
    ]


def test_data_sets_of_known_types_are_read_once_it_is_said_who_is_who(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hm."}, {"role": "assistant", "content": "Oh."}]
    write(tmp_path / "chat.jsonl", json.dumps({"messages": turns}))
    write(tmp_path / "share.jsonl", json.dumps({"conversations": turns}))
    write(tmp_path / "alpaca.jsonl", json.dumps({"instruction": "Hm.", "output": "Oh."}))
    text = """datasets:
  - {path: chat.jsonl, type: chat_template}
  - {path: share.jsonl, type: chat_template, field_messages: conversations}
  - {path: alpaca.jsonl, type: alpaca}
"""
    config, notes = taken(tmp_path, SHORT + text, SHORT + text)
    assert {each.files[0]: each.format for each in config.sources} == {
        "chat.jsonl": "messages",
        "share.jsonl": "sharegpt",
        "alpaca.jsonl": "alpaca",
    }
    assert sum("should say who its roles are" in note for note in notes) == 6
    config = parse_config(config.path, text_of(config))
    files = find(tmp_path, config.tiers[0].files)
    with pytest.raises(UserError, match="to the names of its"):
        read(config, files)
    who = {"user": "Mara", "char": "Ilse"}
    named = replace(config, sources=tuple(replace(each, names=who) for each in config.sources))
    assert len(read(named, files)) == 3


WRITABLE = st.characters(exclude_categories=["Cs", "Cc"])
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-5, 300),
    st.floats(0, 3).map(lambda number: round(number, 3)),
    st.sampled_from(["auto", "true", "no", "2e-5", "3", "", "cosine", "a -> b", "x/y", "[0"]),
    st.text(max_size=6),
)
VALUES = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.text(max_size=3), SCALARS)
)
KEYS = st.one_of(
    st.sampled_from(sorted({*PAIRED, *READ_APART, *REFUSED})), st.text(WRITABLE, max_size=8)
)
NEVER_NAMED = {"adapter", "base_model", "bf16", "bfloat16", "output_dir"}
"""Where these are read, the config says them; what they cannot be is refused."""


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_key_is_stated_or_named_or_refused(tmp_path: Path, more: dict[str, object]) -> None:
    asked = {key: value for key, value in more.items() if value not in ("", [], {})}
    given_ = {**yaml.safe_load(SHORT), **asked}
    file = write(tmp_path / "0.yaml", yaml.safe_dump(given_, allow_unicode=True))
    try:
        config, notes = config_of([file], tmp_path / "finetune.toml")
    except UserError as error:
        assert str(error).startswith(f"{one_line(str(file))}: ")
        assert any(one_line(str(key)) in str(error) for key in given_)
        return
    assert parse_config(config.path, text_of(config)) == config
    tier = config.tiers[0]
    tables = {"base": config.base, "lora": config.lora, "train": tier.train}
    tables |= {"data": tier.data, "preference": tier.preference, "watch": config.watch}
    for key, value in given_.items():
        if any(note.startswith(f"0.yaml: {one_line(key)}: ") for note in notes):
            continue
        if pair := PAIRED.get(FORMER_NAMES.get(key, key)):
            assert says_the_same(getattr(tables[pair.table], pair.ours), value)
        elif key in READ_APART:
            assert key in NEVER_NAMED or says_apart(config, key, value), (key, value)
        else:
            assert value in (False, 0) or str(value).casefold() in ("false", "no", "off")


def says_the_same(ours: object, theirs: object) -> bool:
    if isinstance(ours, bool):
        return ours is (str(theirs).casefold() in ("true", "yes", "on", "1", "t", "y", "auto"))
    if isinstance(ours, str):
        return ours == str(theirs)
    assert isinstance(ours, int | float) and isinstance(theirs, int | float | str)
    return float(ours) == float(theirs) or (float(theirs) > 1 and ours == int(float(theirs)))


def says_apart(config: Config, key: str, value: object) -> bool:
    """Whether the config says what a key that no pair holds asks for."""
    train = config.tiers[0].train
    is_on = str(value).casefold() in ("true", "yes", "on", "1", "t", "y")
    match key:
        case "load_in_4bit":
            return (config.base.quantize == "nf4") is is_on
        case "bnb_config_kwargs" | "datasets":
            return True
        case "lora_target_linear":
            return not is_on or not config.lora.targets
        case "lora_target_modules":
            return config.lora.targets == tuple([value] if isinstance(value, str) else value)  # type: ignore[arg-type]
        case "optimizer":
            return OPTIMIZERS[str(value)] == train.optimizer
        case "lr_scheduler":
            return SCHEDULES[str(value)] == train.schedule
        case "warmup_steps":
            return train.warmup_steps == float(value)  # type: ignore[arg-type]
        case "warmup_ratio":
            return train.warmup_ratio == float(value)  # type: ignore[arg-type]
        case "train_on_inputs":
            return is_on
        case "fp16" | "float16" | "float32":
            return not is_on or train.precision == ("fp32" if key == "float32" else "bf16")
        case "rl":
            return (config.tiers[0].kind == "preference") is (value == "dpo")
        case "excess_length_strategy":
            return value == "raise"
        case "plugins":
            return all("liger" in str(each) for each in value)  # type: ignore[attr-defined]
        case _:
            return False


def test_data_is_found_from_the_new_config(tmp_path: Path) -> None:
    write(tmp_path / "ax" / "data" / "low[1].jsonl", "")
    text = SHORT + "datasets:\n  - path: data/low[1].jsonl\n  - path: data\n"
    file = write(tmp_path / "ax" / "low.yaml", text)
    config, _ = config_of([file], tmp_path / "finetune.toml")
    assert config.tiers[0].files == ("ax/data/low[[]1].jsonl", "ax/data/*")


def mathematics(config: Config) -> object:
    """What an export must bring back: all but data, names of folders and what no YAML can say."""
    told = [
        replace(
            tier,
            files=(),
            where="",
            train=replace(tier.train, carry_optimizer=False, keep="last"),
            data=Data(evaluation=tier.data.evaluation),
        )
        for tier in config.tiers
    ]
    return config.base, config.lora, told


def comparable(config: Config) -> Config:
    """A config that axolotl can do: a base by its name, warm-up only as it knows it."""
    base = replace(config.base, model="some/base")
    if base.quantize == "none":
        base = replace(base, double_quant=True)
    lora = config.lora
    if not all(PLAIN.fullmatch(each) for each in lora.targets):
        lora = replace(lora, targets=lora.targets[:1])
    return replace(config, base=base, lora=lora, tiers=tuple(map(comparable_tier, config.tiers)))


def comparable_tier(tier: Tier) -> Tier:
    held, train = tier.data.evaluation, tier.train
    ratio = 0.0 if train.warmup_steps else train.warmup_ratio
    return replace(
        tier,
        data=replace(tier.data, evaluation=float(int(held)) if held >= 1 else held),
        kind="conversation",
        preference=Preference(),
        train=replace(train, warmup_ratio=ratio),
    )


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(configs())
def test_export_then_import_gives_the_same_mathematics(tmp_path: Path, config: Config) -> None:
    config = comparable(config)
    files = []
    for tier in config.tiers:
        text = yaml.safe_dump(dict(settings_of(config, tier)), sort_keys=False)
        files.append(write(tmp_path / f"{tier.name}.yaml", text))
    again, _ = config_of(files, tmp_path / "finetune.toml")
    assert mathematics(again) == mathematics(config)


def test_an_adapter_of_another_run_is_gone_on_from_and_goes_back(tmp_path: Path) -> None:
    folder = tmp_path / "loras" / "noir"
    folder.mkdir(parents=True)
    sizes = {"A": (8, 4), "B": (4, 8)}
    save_file(
        {
            f"base_model.model.model.layers.0.mlp.up_proj.lora_{side}.weight": np.ones(
                size, np.float32
            )
            for side, size in sizes.items()
        },
        folder / "adapter_model.safetensors",
    )
    settings = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["up_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    text = SHORT + "lora_model_dir: loras/noir\nlora_r: 8\nlora_alpha: 16\n"
    config, notes = taken(tmp_path, text)
    assert [tier.after for tier in config.tiers] == ["loras/noir/"]
    assert not any("lora_model_dir" in note for note in notes)
    again = parse_config(config.path, text_of(config))
    assert again == config
    assert settings_of(again, again.tiers[0])["lora_model_dir"] == str(folder.resolve())
    other = text_of(replace(config, lora=replace(config.lora, r=16)))
    with pytest.raises(UserError, match=r'"loras/noir/" was trained with r = 8, and \[lora\]'):
        parse_config(config.path, other)


CONVERSATION = '▀title\nOne▄\n▀message (length: long)\nMara: "Yes," Mara said.▄\n'


@pytest.fixture
def config(tmp_path: Path) -> Config:
    write(tmp_path / "data" / "a.txt", CONVERSATION + "---\n" + CONVERSATION)
    write(tmp_path / "data" / "b.jsonl", json.dumps({"text": CONVERSATION}) + "\n")
    tiers = (
        Tier("low", ("data/a.txt",)),
        Tier("high", ("data/*",), after="low", train=Train(learning_rate=1e-5)),
        Tier("aside", ("data/b.jsonl",), after="low", data=Data(hints="none")),
    )
    config = Config(tmp_path / "finetune.toml", tiers)
    write(config.path, text_of(config))
    return config


def test_an_export_is_files_data_and_a_script(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "axolotl"
    words = ["finetune", "export-axolotl", str(config.path), "--to", str(folder)]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "length hints stay as they are written" in out
    assert "not between messages" in out
    assert "with the end of text" in out
    stages = {
        name: yaml.safe_load((folder / f"{name}.yaml").read_text())
        for name in ("low", "high", "aside")
    }
    assert "lora_model_dir" not in stages["low"]
    assert stages["high"]["lora_model_dir"] == stages["low"]["output_dir"]
    assert stages["aside"]["lora_model_dir"] == stages["low"]["output_dir"]
    for stage, count in (("low", 2), ("high", 3), ("aside", 1)):
        (dataset,) = stages[stage]["datasets"]
        assert dataset["type"] == "completion"
        rows = [json.loads(line) for line in (folder / dataset["path"]).read_text().splitlines()]
        assert len(rows) == count
        for row in rows:
            bare = CONVERSATION.replace(" (length: long)", "")
            assert parse(row["text"]) == parse(bare if stage == "aside" else CONVERSATION)
    assert main(words) == 1
    assert "there already" in capsys.readouterr().err


def test_where_the_base_can_count_hints_are_those_that_are_trained(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    shipped_tokenizer(base, space_prefix=True)
    write(config.path, text_of(replace(config, base=Base("base"))))
    words = ["finetune", "export-axolotl", str(config.path), "--to", str(tmp_path / "out")]
    assert main(words) == 0
    assert "length hints" not in capsys.readouterr().out
    hints = {
        name: (tmp_path / "out" / "data" / f"{name}.jsonl").read_text().count("(length: nano)")
        for name in ("low", "high", "aside")
    }
    assert hints == {"low": 2, "high": 3, "aside": 0}
    stage = yaml.safe_load((tmp_path / "out" / "low.yaml").read_text())
    assert stage["base_model"] == str(base)
    again, _ = config_of([tmp_path / "out" / "low.yaml"], config.path)
    assert Path(again.base.model) == base


def test_the_script_trains_the_tiers_in_their_order(config: Config, tmp_path: Path) -> None:
    for name, text in files_of(config):
        write(tmp_path / "out" / name, text)
    fake = write(tmp_path / "bin" / "axolotl", '#!/bin/sh\necho "$@" && test -f "$2"\n')
    fake.chmod(0o755)
    told = subprocess.run(
        ["sh", str(tmp_path / "out" / "train.sh")],
        env={**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines() == [f"train {name}.yaml" for name in ("low", "high", "aside")]
