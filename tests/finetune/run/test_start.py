"""A tier that begins with an adapter of another run, or of another program."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from shoritui.errors import UserError
from shoritui.finetune.config.load import load as load_config
from shoritui.finetune.config.model import Config, Lora
from shoritui.finetune.config.write import text_of
from shoritui.finetune.events import RunStarted
from shoritui.finetune.model.adapter import load
from shoritui.gguf.lora.peft import CONFIG_FILE, WEIGHTS_FILE
from tests.finetune.run.small import adapter_of, make_config, run, write_data

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path, base: Path) -> Config:
    write_data(tmp_path)
    return make_config(tmp_path, base, evaluate_every=0, save_every=0)


def alone(config: Config, start: str) -> Config:
    """The tier `high` alone, from a folder; read from a file that does not say [lora]."""
    only = replace(config, tiers=(replace(config.tiers[1], after=start),))
    lines = text_of(only).splitlines(keepends=True)
    begin = lines.index("[lora]\n")
    end = next(at for at in range(begin + 1, len(lines)) if lines[at].startswith("["))
    config.path.write_text("".join(lines[:begin] + lines[end:]), encoding="utf-8")
    return load_config(config.path)


def dropout(config: Config) -> Config:
    return replace(config, lora=replace(config.lora, dropout=0.0))


def test_it_goes_on_as_if_it_had_never_been_apart(config: Config, tmp_path: Path) -> None:
    config = dropout(config)
    run(replace(config, tiers=config.tiers[:2]))
    whole = adapter_of(config, "high")
    shutil.copytree(tmp_path / config.output / "low", tmp_path / "elsewhere")
    apart = alone(config, "elsewhere/")
    assert apart.lora == replace(config.lora, dropout=0.1, targets=apart.lora.targets)
    apart = dropout(apart)
    heard = run(apart)
    (started,) = heard.of(RunStarted)
    assert started.tiers[0].after == "elsewhere/"
    found = adapter_of(apart, "high")
    assert found == whole


def test_its_content_is_in_the_key_and_nothing_else_of_it(config: Config, tmp_path: Path) -> None:
    run(replace(config, tiers=config.tiers[:1]))
    folder = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / config.output / "low", folder)
    run(alone(config, "elsewhere/"))
    (again,) = run(alone(config, f"{folder}/")).of(RunStarted)
    assert again.tiers[0].cached
    said = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps({**said, "base_model_name_or_path": "x"}))
    (again,) = run(alone(config, "elsewhere/")).of(RunStarted)
    assert again.tiers[0].cached
    tensors = load_file(folder / WEIGHTS_FILE)
    save_file({name: each * 2 for name, each in tensors.items()}, folder / WEIGHTS_FILE)
    (again,) = run(alone(config, "elsewhere/")).of(RunStarted)
    assert not again.tiers[0].cached


def test_other_programs_adapters_are_starts(config: Config, tmp_path: Path) -> None:
    """In half precision, with the adapter's own name in the tensors', on fewer layers."""
    small = replace(config, lora=Lora(r=2, alpha=3.0, targets=("q_proj", "down_proj")))
    run(replace(small, tiers=small.tiers[:1]))
    folder = tmp_path / config.output / "low"
    tensors = load_file(folder / WEIGHTS_FILE)
    halved = {
        name.replace(".weight", ".default.weight"): each.bfloat16()
        for name, each in tensors.items()
    }
    save_file(halved, folder / WEIGHTS_FILE)
    apart = alone(config, f"{config.output}/low/")
    assert apart.lora == Lora(r=2, alpha=3.0, targets=("down_proj", "q_proj"))
    run(apart)
    trained = load(tmp_path / apart.output / "high").tensors
    assert trained.keys() == tensors.keys()
    moved = [name for name, each in trained.items() if not torch.equal(each, tensors[name])]
    assert len(moved) == len(tensors)
    old = {name: each for name, each in tensors.items() if "lora_A" in name}
    assert all((trained[name] - each).norm() < each.norm() / 2 for name, each in old.items())


@pytest.mark.parametrize(
    ("lora", "change", "sentence"),
    [
        ("r = 8", {}, r'"elsewhere/" was trained with r = 4, and \[lora\] says 8: all tiers share'),
        ("alpha = 2", {}, r"was trained with alpha = 8, and \[lora\] says 2"),
        ("rslora = true", {}, r"was trained with rslora = false, and \[lora\] says true"),
        ("", {"use_dora": True}, "use_dora asks for DoRA"),
        ("", {"alpha_pattern": {"q_proj": 3}}, "has a rank or alpha of its own"),
    ],
)
def test_what_does_not_agree_is_told_with_its_line(
    config: Config, tmp_path: Path, lora: str, change: dict[str, Any], sentence: str
) -> None:
    run(replace(config, tiers=config.tiers[:1]))
    folder = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / config.output / "low", folder)
    said = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps({**said, **change}))
    path = tmp_path / "own.toml"
    text = f'[lora]\n{lora}\n[[tier]]\nname = "a"\ndata = ["data/*/*"]\nafter = "elsewhere/"\n'
    path.write_text(text)
    with pytest.raises(UserError, match=rf"own\.toml: line 6: .*{sentence}"):
        load_config(path)


def test_a_folder_that_is_none_is_told(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    text = '[[tier]]\nname = "a"\ndata = ["data/*/*"]\nafter = "%s"\n'
    for after, sentence in {
        "nowhere/": '"nowhere/" is no folder: expected one that PEFT saved',
        "data/": r"data has no adapter_config\.json",
        "nowhere": r'there is no tier "nowhere" above.*a PEFT folder is written with a slash',
    }.items():
        path.write_text(text % after)
        with pytest.raises(UserError, match=rf"line 4: .*{sentence}"):
            load_config(path)


def test_an_adapter_of_another_base_is_told_before_anything_is_trained(
    config: Config, tmp_path: Path
) -> None:
    run(replace(config, tiers=config.tiers[:1]))
    folder = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / config.output / "low", folder)
    tensors = load_file(folder / WEIGHTS_FILE)
    wide = {
        name: torch.cat([each, each], 0 if "lora_B" in name else 1)
        for name, each in tensors.items()
    }
    save_file(wide, folder / WEIGHTS_FILE)
    low, high, _ = config.tiers
    both = replace(config, tiers=(low, replace(high, after="elsewhere/")))
    both = replace(both, lora=replace(config.lora, dropout=0.3))
    with pytest.raises(UserError, match="the adapter is for another base or another"):
        run(both)
    assert adapter_of(config, "low")


def test_a_tier_cannot_begin_where_its_own_result_goes(config: Config, tmp_path: Path) -> None:
    run(replace(config, tiers=config.tiers[:1]))
    own = tmp_path / config.output / "high"
    shutil.copytree(tmp_path / config.output / "low", own)
    with pytest.raises(UserError, match=r"line \d+: .* is where tier high of this config"):
        alone(config, f"{config.output}/high/")
    (tmp_path / "link").symlink_to(own)
    with pytest.raises(UserError, match="is where tier high"):
        alone(config, "link/")


def test_a_start_without_numbers_is_named(config: Config, tmp_path: Path) -> None:
    run(replace(config, tiers=config.tiers[:1]))
    shutil.copytree(tmp_path / config.output / "low", tmp_path / "elsewhere")
    weights = tmp_path / "elsewhere" / WEIGHTS_FILE
    tensors = load_file(weights)
    next(iter(tensors.values())).fill_(float("nan"))
    save_file(tensors, weights)
    with pytest.raises(UserError, match=r"elsewhere: the factors of .* are no numbers"):
        run(alone(config, "elsewhere/"))
