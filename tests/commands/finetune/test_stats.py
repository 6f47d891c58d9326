"""`shoritui finetune stats`: the figures of each tier, as lines, as JSON, as a picture."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from shoritui.blockml import Block, Part, render, render_all
from shoritui.cli import main
from shoritui.commands.finetune.stats import run as stats
from shoritui.errors import UserError

CONFIG = """
base = "demo"
[train]
sequence_len = 200
[[tier]]
name = "low"
data = ["low.txt"]
[[tier]]
name = "top"
data = ["*.txt"]
where = "not storm"
"""


def scene(number: int, messages: int, tag: str = "calm") -> list[Part]:
    said = [
        Block("message", "He counted the lamps on the wall. " * (at + 1), f"Ada {at % number}")
        for at in range(messages)
    ]
    return [Block("title", f"Lamps {number}"), Block("tags", tag), *said]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    low: list[list[Part]] = [scene(1, 2), scene(2, 3, "storm"), [Block("lore", "Lamps burn oil.")]]
    top = [scene(3, 6)]
    for name, scenes in (("low", low), ("top", top)):
        (tmp_path / f"{name}.txt").write_text(
            "---\n".join(map(render_all, scenes)), encoding="utf-8"
        )
    path = tmp_path / "finetune.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def options(config: Path, json: bool = False, plot: Path | None = None) -> Namespace:
    return Namespace(config=config, demo=False, json=json, plot=plot)


def test_the_cards_block_is_printed_for_each_tier_and_for_all(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["finetune", "stats", str(config), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    low, top = facts["tiers"]
    whole = facts["all"]
    assert (low["conversations"], low["messages"], low["name"]) == (3, 5, "low")
    assert (top["conversations"], top["messages"]) == (3, 8)
    assert (whole["conversations"], whole["messages"]) == (4, 11), "each counted once"
    assert max(low["tokens"], top["tokens"]) < whole["tokens"] < low["tokens"] + top["tokens"]
    assert (top["split"], low["split"]) == (1, 0) and top["parts"] > 1
    assert low["packing"]["sequence_len"] == 200 and 0 < low["packing"]["efficiency"] <= 1
    assert low["speakers"] == {"0": 1, "1": 1, "2": 1}
    assert sum(whole["hints"].values()) == sum(facts["message_tokens"]["counts"]) == 11
    assert main(["finetune", "stats", str(config)]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("All tiers (a conversation in several tiers counts once)")
    assert lines[at + 1 : at + 5] == [
        "  Total conversations: 4",
        "  User message count: 11 messages",
        f"  Total unique tokens: {whole['tokens']:,} tokens",
        f"  Longest conversation: {whole['longest']:,} tokens",
    ]
    assert lines[0] == "low" and lines[1] == "  Total conversations: 3"
    assert "Messages by their tokens (11):" in lines and "█" in lines[-1] + lines[-2]


def test_preferences_are_counted_apart_from_conversations(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = Block("message", "She nodded.", "Ada")
    longer = [replace(message, body=f"She nodded {word}, and went on.") for word in ("once", "so")]
    row = {
        "context": render_all(scene(1, 2)),
        "chosen": render(message),
        "rejected": [render(one) for one in longer],
    }
    (config.parent / "swipes.jsonl").write_text(json.dumps(row), encoding="utf-8")
    taste = '[[tier]]\nname = "taste"\nkind = "preference"\ndata = ["swipes.jsonl"]\n'
    config.write_text(CONFIG + taste + "sequence_len = 400\n", encoding="utf-8")
    assert main(["finetune", "stats", str(config)]) == 0
    told = capsys.readouterr().out
    assert "  Total preferences: 1\n  Pairs: 2, a chosen message with " in told
    assert "  Total conversations: 4\n  User message count: 11 messages\n" in told
    config.write_text('base = "demo"\n' + taste, encoding="utf-8")
    assert main(["finetune", "stats", str(config)]) == 0
    assert "conversation" not in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["svg", "PNG"])
def test_the_histogram_is_drawn_into_a_file(
    config: Path, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / f"lengths.{suffix}"
    assert stats(options(config, plot=picture)) == 0
    assert picture.read_bytes()[:4] in (b"<?xm", b"\x89PNG")
    assert str(picture) in capsys.readouterr().err
    assert {path.suffix for path in tmp_path.iterdir() if path.is_file()} == {
        *(".txt", ".toml", f".{suffix}")
    }


def test_a_picture_of_another_kind_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.svg or \.png"):
        stats(options(tmp_path / "gone.toml", plot=tmp_path / "a.gif"))
    with pytest.raises(UserError, match="cannot be written"):
        stats(options(tmp_path / "gone.toml", plot=tmp_path / "gone" / "a.svg"))
    (tmp_path / "a.svg").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        stats(options(write_demo(tmp_path), plot=tmp_path / "a.svg"))


def write_demo(folder: Path) -> Path:
    (folder / "low.txt").write_text(render_all(scene(2, 3)), encoding="utf-8")
    (folder / "finetune.toml").write_text(CONFIG, encoding="utf-8")
    return folder / "finetune.toml"


def test_a_mistake_in_the_data_is_one_sentence(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.parent / "low.txt").write_text("▀title\nA▄\n▀titel\nB▄\n", encoding="utf-8")
    assert main(["finetune", "stats", str(config)]) == 1
    told = capsys.readouterr().err
    assert "low.txt:3:" in told and "did you mean title?" in told and told.count("\n") == 1


def test_without_the_extra_it_says_what_to_install(config: Path) -> None:
    missing = "import sys; sys.modules.update(numpy=None, sentencepiece=None)"
    words = ["finetune", "stats", str(config)]
    code = f"{missing}; from shoritui.cli import main; raise SystemExit(main({words!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert "pip install 'shoritui[finetune]'" in done.stderr and done.stderr.count("\n") == 1
