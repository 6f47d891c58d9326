"""`shoritui finetune plan` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from shoritui.cli import main
from shoritui.finetune.config.load import load
from shoritui.finetune.plan.speed import speed_of

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_a_shape_is_planned_without_a_config_or_a_base(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["finetune", "plan", "--shape", "tiny", "--cap-gib", "24", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cap_bytes"] == 24 * 2**30 and found["shape"]["layers"] == 2
    [tier] = found["tiers"]
    assert tier["largest_pack"] == 16384 and tier["level"] == "all" and not tier["problem"]
    assert list(tier["levels"]) == ["all", "attention", "halves", "inputs", "offload"]
    assert tier["levels"]["offload"]["host_bytes"] > 0
    assert tier["seconds"] is None  # of a GPU that is not here nothing is known


def test_what_does_not_fit_is_told_beside_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["finetune", "plan", "--shape", "tiny", "--cap-gib", "0.4"]) == 0
    shown = capsys.readouterr().out
    assert "none fits" in shown and "even at the level that takes the least" in shown


def test_stats_counts_as_many_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    counts = []
    for command in ("plan", "stats"):
        assert main(["finetune", command, "--demo", "--json"]) == 0
        tiers = json.loads(capsys.readouterr().out)["tiers"]
        counts.append({tier["name"]: (tier["conversations"], tier["tokens"]) for tier in tiers})
    assert counts[0] == counts[1]


def test_the_demo_is_planned_and_an_earlier_run_tells_how_fast_it_goes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["finetune", "plan", "--demo", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    tiers = {tier["name"]: tier for tier in found["tiers"]}
    assert list(tiers) == ["low", "mid", "high", "top", "top-pg13"]
    assert tiers["top-pg13"]["after"] == "high"
    for tier in tiers.values():
        assert not tier["cached"] and tier["resumes_at"] == 0
        assert tier["conversations"] > 0 and tier["steps"] >= tier["packs"]
        assert 0.5 < tier["efficiency"] <= 1
        assert tier["level"] == "all" and tier["seconds"] > 0
    assert found["seconds"] == pytest.approx(sum(tier["seconds"] for tier in tiers.values()))

    config = load(Path(found["plan"].partition(": ")[0]))
    metrics = config.path.parent / config.output / "metrics.jsonl"
    metrics.parent.mkdir(parents=True, exist_ok=True)
    first, stepped = (
        json.dumps({"event": "stepped", "tokens": 500, "seconds": seconds}) + "\n"
        for seconds in (90.0, 2.0)
    )
    metrics.write_text(first + 3 * stepped)
    speed = speed_of(config, torch.device("cpu"))
    assert speed.tokens == 250 and "250 tokens per second" in speed.source
    metrics.write_text(first)  # too short a run to tell
    assert speed_of(config, torch.device("cpu")).tokens == 0


def test_a_tier_of_preferences_is_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = "▀message\nMara: {}▄\n"
    row = {
        "context": "▀title\nThe lamp▄\n",
        "chosen": message.format("Yes."),
        "rejected": [message.format("No."), message.format("She thought about it.")],
    }
    (tmp_path / "swipes.jsonl").write_text(json.dumps(row), encoding="utf-8")
    tier = '[[tier]]\nname = "taste"\nkind = "preference"\ndata = ["swipes.jsonl"]\n'
    (tmp_path / "finetune.toml").write_text('base = "demo"\n' + tier, encoding="utf-8")
    assert main(["finetune", "plan"]) == 0
    assert "1 (2 pairs)" in capsys.readouterr().out
    assert main(["finetune", "plan", "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)["tiers"]
    assert (found["kind"], found["pairs"], found["packs"]) == ("preference", 2, 1)
    assert found["seconds"] > 0 and found["level"] == "all"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--shape", "8b"], "No shape is called '8b'"),
        (["--shape", "tiny", "--cap-gib", "-1"], "expected a number above 0"),
        (["--shape", "tiny", "--cap-gib", "nan"], "expected a number above 0"),
        ([], "There is no finetune.toml"),
    ],
)
def test_a_users_error_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["finetune", "plan", *arguments]) == 1
    shown = capsys.readouterr()
    assert sentence in shown.err and shown.err.count("\n") == 1 and shown.out == ""


@pytest.mark.parametrize("words", [["plan"], ["check"], ["run"], []])
def test_a_folder_stands_for_the_config_in_it(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "finetune.toml"
    config.write_text('[[tier]]\nname = "a"\ndata = ["x"]\nwrong = 1\n', encoding="utf-8")
    assert main(["finetune", *words, str(tmp_path)]) == 1
    assert f"{config}: line 4: " in capsys.readouterr().err
