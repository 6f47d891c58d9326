"""Duplicates: what is the same, what nearly is, what is not; and what that does to evaluation."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from random import Random

import pytest

from shoritui.blockml import Block, render_all
from shoritui.cli import main
from shoritui.finetune.config.load import load
from shoritui.finetune.data.check import check_data
from shoritui.finetune.data.duplicates import NEAR, near_duplicates

VOCABULARY = [f"word{number}" for number in range(400)]


def words(seed: int, count: int = 300) -> list[str]:
    rng = Random(seed)
    return [rng.choice(VOCABULARY) for _ in range(count)]


def changed(text: list[str], every: int) -> list[str]:
    """The text with one word in so many replaced."""
    return [f"new{at}" if at % every == 0 else word for at, word in enumerate(text)]


def jaccard(first: list[str], second: list[str]) -> float:
    one, two = (
        {tuple(text[at : at + 5]) for at in range(len(text) - 4)} for text in (first, second)
    )
    return len(one & two) / len(one | two)


def test_pairs_are_those_that_share_most_of_their_phrases() -> None:
    texts = [words(seed) for seed in range(20)]
    texts += [changed(texts[0], 60), changed(texts[1], 5), texts[2][:150] + words(99, 150)]
    pairs = near_duplicates(texts)
    assert {(pair.first, pair.second) for pair in pairs} == {
        (a, b) for a, b in combinations(range(len(texts)), 2) if jaccard(texts[a], texts[b]) >= NEAR
    }
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 20)]
    assert pairs[0].share == pytest.approx(jaccard(texts[0], texts[20]))


def test_nearly_all_near_duplicates_are_found() -> None:
    originals = [words(seed) for seed in range(100)]
    texts = originals + [changed(text, 50) for text in originals]
    pairs = {(pair.first, pair.second) for pair in near_duplicates(texts)}
    assert pairs <= {(number, number + 100) for number in range(100)}
    assert len(pairs) >= 99


def test_short_and_empty_texts_are_compared_too() -> None:
    texts = [[], [], ["no"], ["no"], ["yes", "sir"], ["yes", "sir"], ["sir", "yes"]]
    assert [(pair.first, pair.second) for pair in near_duplicates(texts)] == [(2, 3), (4, 5)]
    assert near_duplicates([]) == []


def story(seed: int, every: int = 0) -> str:
    text = words(seed, 120)
    body = " ".join(changed(text, every) if every else text)
    return render_all([Block("title", f"Story {seed}"), Block("message", body, "Mara")])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "low").mkdir()
    (tmp_path / "high").mkdir()
    (tmp_path / "finetune.toml").write_text(
        "[data]\nevaluation = 0.4\n"
        '[[tier]]\nname = "low"\ndata = ["low/*"]\n'
        '[[tier]]\nname = "high"\ndata = ["high/*"]\n'
        '[[tier]]\nname = "safe"\nafter = "low"\ndata = ["high/*"]\nwhere = "not explicit"\n'
    )
    return tmp_path / "finetune.toml"


def findings(config: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    assert main(["finetune", "check", str(config), "--json"]) == 0
    kinds = ("duplicate", "near-duplicate", "held out")
    found: list[dict[str, str]] = json.loads(capsys.readouterr().out)["findings"]
    return [finding for finding in found if finding["kind"] in kinds]


def test_a_copy_in_another_tier_is_told_with_where_it_was_first(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.parent / "low" / "a.txt").write_text(story(1) + "---\n" + story(2))
    copy = story(2).replace("Story 2", "Other").replace("▀message", "▀message (length: tiny)")
    (config.parent / "high" / "b.txt").write_text(copy)
    (finding,) = findings(config, capsys)
    assert finding["kind"] == "duplicate"
    assert finding["file"] == "high/b.txt"
    assert "low/a.txt:6 (low)" in finding["sentence"]


def test_one_conversation_in_two_tiers_is_no_duplicate(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.parent / "low" / "a.txt").write_text(story(1))
    (config.parent / "high" / "b.txt").write_text(story(2))
    assert findings(config, capsys) == []


def test_what_is_held_out_must_not_be_learnt_from_in_other_words(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of many pairs, some lie on both sides of the line and some on one: each is told as it is."""
    (config.parent / "low" / "a.txt").write_text("---\n".join(story(n) for n in range(30)))
    (config.parent / "high" / "b.txt").write_text("---\n".join(story(n, 40) for n in range(30)))
    kinds = {finding["kind"]: finding["sentence"] for finding in findings(config, capsys)}
    assert set(kinds) == {"near-duplicate", "held out"}
    assert "held out for evaluation, but" in kinds["held out"]
    assert len(check_data(load(config)).rows) == 60
