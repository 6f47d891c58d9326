"""`finetune init`: the config that ships is the model card's, and nothing is overwritten."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from shoritui.blockml import parse
from shoritui.cli import main
from shoritui.finetune.config.fields import RECORDS, meanings, own_fields
from shoritui.finetune.config.load import load
from shoritui.finetune.config.model import Base, Data, Lora, Train
from shoritui.finetune.config.tag_filter import parse_where


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["finetune", "init", str(tmp_path / "mine")]) == 0
    *_, then = capsys.readouterr().out.splitlines()
    assert main(shlex.split(then.removeprefix("Then: shoritui "))) in (0, 1)
    capsys.readouterr()
    return tmp_path / "mine"


def test_the_examples_in_it_are_read_as_they_are(folder: Path) -> None:
    path = folder / "finetune.toml"
    text = path.read_text(encoding="utf-8")
    for example in re.findall(r"\n\n# \[\[(?:# .+\n|.+\n)+", text):
        text = text.replace(example, example.replace("\n# ", "\n"))
    path.write_text(text, encoding="utf-8")
    config = load(path)
    assert config.tiers[-1].kind == "preference"
    assert config.sources[0].names == {"human": "Mara", "gpt": "Ilse"}


def test_the_config_is_the_model_cards(folder: Path) -> None:
    config = load(folder / "finetune.toml")
    rates = {tier.name: tier.train.learning_rate for tier in config.tiers}
    assert rates == {
        "low": 7.25e-5,
        "mid": 5.5e-5,
        "high": 3.75e-5,
        "top": 3.5e-5,
        "top-pg13": 3.5e-5,
    }
    assert [tier.after for tier in config.tiers] == ["", "low", "mid", "high", "high"]
    *_, top, safe = config.tiers
    assert safe.files == top.files
    assert (top.where, safe.where) == ("", "not explicit")
    for tier in config.tiers:
        train = tier.train
        assert (train.sequence_len, train.packing) == (16384, True)
        assert (train.accumulation, train.micro_batch, train.epochs) == (2, 1, 2)
        assert (train.optimizer, train.schedule, train.weight_decay) == (
            "adamw8bit",
            "constant",
            0.05,
        )
        assert (train.precision, train.tf32) == ("bf16", True)
        assert (train.warmup_steps, train.neftune, train.carry_optimizer) == (0, 0, False)
        assert set(tier.data.learn) == {
            *("title", "tags", "lore", "description", "scenario", "message", "ooc"),
            "instruction",
        }
        assert (tier.data.speakers, tier.data.not_speakers) == ((), ())
    lora = config.lora
    assert (lora.r, lora.alpha, lora.dropout, lora.targets) == (20, 16, 0.1, ())
    assert (lora.rslora, lora.plus) == (False, 1)
    base = config.base
    assert base.model == "mistralai/Mistral-7B-Instruct-v0.2"
    assert (base.quantize, base.double_quant) == ("nf4", True)


def test_the_defaults_of_a_config_without_anything_are_the_same(folder: Path) -> None:
    config = load(folder / "finetune.toml")
    assert config.tiers[0].train == Train()
    assert config.tiers[0].data == Data()
    assert (config.lora, config.base) == (Lora(), Base())


def test_every_setting_is_in_it_and_explained(folder: Path) -> None:
    lines = (folder / "finetune.toml").read_text(encoding="utf-8").splitlines()
    for table in RECORDS:
        for key in own_fields(table):
            assert meanings(table)[key], f"{key} of [{table}] says nothing"
            if table == "source":  # which nobody needs at first: it is only explained
                assert any(line.startswith(f"#   {key}: ") for line in lines), key
                continue
            at = [number for number, line in enumerate(lines) if line.startswith(f"{key} = ")]
            if key not in ("after", "where", "kind"):
                assert at, key
            if table not in ("tier", "prompt"):
                assert any(lines[number - 1].startswith("# ") for number in at), key
    assert max(map(len, lines)) <= 200


def test_the_folders_of_the_data_are_there_with_one_conversation(folder: Path) -> None:
    config = load(folder / "finetune.toml")
    for tier in config.tiers:
        for pattern in tier.files:
            assert (folder / pattern).parent.is_dir()
    files = [path for path in (folder / "data").rglob("*") if path.is_file()]
    (example,) = (path for path in files if path.suffix == ".txt")
    assert {path.name for path in files} == {example.name, "README.md"}
    parts = parse(example.read_text(encoding="utf-8"))
    assert len(parts) > 6
    assert parse_where("not explicit").allows([])


def test_nothing_is_overwritten(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = folder / "finetune.toml"
    config.write_text("mine")
    assert main(["finetune", "init", str(folder)]) == 1
    assert f"{config}: this is there already" in capsys.readouterr().err
    assert config.read_text() == "mine"
    (tmp_path / "other" / "data").mkdir(parents=True)
    (tmp_path / "other" / "data" / "README.md").write_text("mine")
    assert main(["finetune", "init", str(tmp_path / "other")]) == 1
    assert not (tmp_path / "other" / "finetune.toml").exists()


def test_a_fresh_folder_is_planned_with_the_tier_that_is_filled(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = folder / "finetune.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("mistralai/Mistral-7B-Instruct-v0.2", "demo"), encoding="utf-8")
    for command in ("plan", "stats", "check"):
        assert main(["finetune", command, str(config), "--json"]) == 0
        told = capsys.readouterr()
        assert "no conversations are there yet: low, mid, top, top-pg13." in told.err, command
        if command != "check":
            (tier,) = json.loads(told.out)["tiers"]
            assert tier["name"] == "high" and tier["conversations"] == 1
    (folder / "data" / "high" / "a-borrowed-ladder.txt").rename(folder / "data" / "top" / "a.txt")
    assert main(["finetune", "plan", str(config), "--json"]) == 0
    low, high = json.loads(capsys.readouterr().out)["tiers"]
    assert (low["name"], low["after"], high["name"], high["after"]) == ("top", "", "top-pg13", "")


def test_a_folder_that_is_not_there_is_no_empty_tier(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = folder / "finetune.toml"
    text = config.read_text(encoding="utf-8")
    text = text.replace("mistralai/Mistral-7B-Instruct-v0.2", "demo")
    config.write_text(text.replace("data/low/", "data/lwo/"), encoding="utf-8")
    assert main(["finetune", "plan", str(config)]) == 1
    assert "'data/lwo/*' matches no file" in capsys.readouterr().err


def test_the_stories_that_ship_are_a_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["finetune", "init", "--sample", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["finetune", "check", str(tmp_path / "finetune.toml"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["conversations"]) == 187
    assert len(list((tmp_path / "held-out").iterdir())) == 22
    config = load(tmp_path / "finetune.toml")
    assert [tier.name for tier in config.tiers] == ["low", "mid", "high", "top"]
    assert config.base.model == "smollm2"
