"""Presets as TOML files: good ones load, bad ones say why and hide nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoritui.engine import presets


def test_a_users_preset_joins_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "calm.toml").write_text('title = "Calm"\ntemperature = 0.6\ntop_k = 40\n')
    found, problems = presets(tmp_path)
    assert problems == []
    assert {"card-main", "card-alternative-1", "card-alternative-2", "neutral"} < set(found)
    assert found["calm"].title == "Calm"
    assert (found["calm"].sampling.temperature, found["calm"].sampling.top_k) == (0.6, 40)


def test_texts_and_biases_can_be_in_a_preset(tmp_path: Path) -> None:
    text = 'banned = ["a shiver"]\norder = ["temperature", "top_k"]\n[logit_bias]\n" the" = -1.5\n'
    (tmp_path / "picky.toml").write_text(text)
    found, problems = presets(tmp_path)
    assert problems == []
    sampling = found["picky"].sampling
    assert (sampling.banned, sampling.logit_bias) == (("a shiver",), ((" the", -1.5),))
    assert sampling.order.index("temperature") < sampling.order.index("top_k")


def test_a_missing_folder_is_no_problem(tmp_path: Path) -> None:
    assert presets(tmp_path / "none")[1] == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "temperature = 1.0\n\nmin_q = 0.1\n",
            "bad.toml, line 3: min_q is not a sampler value: did you mean min_p?",
        ),
        (
            'top_p = "high"\n',
            "bad.toml, line 1: top_p is 'high': expected a number from 0.0 to 1.0.",
        ),
        (
            'title = "T"\norder = ["min_p", "min_p"]\n',
            "bad.toml, line 2: order names min_p twice: each step is done once.",
        ),
        ("title = 3\n", "bad.toml, line 1: title is 3: expected text."),
        ("temperature = \n", "bad.toml: Invalid value (at line 1, column 15)."),
        (
            "[min_p]\nx = 1\n",
            "bad.toml, line 1: min_p is {'x': 1}: expected a number from 0.0 to 1.0.",
        ),
    ],
)
def test_a_bad_file_gets_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    (tmp_path / "good.toml").write_text("min_p = 0.2\n")
    (tmp_path / "torn.toml").write_bytes(b"title = '\xff'\n")
    found, problems = presets(tmp_path)
    assert problems == [sentence, "torn.toml: is not UTF-8 text."]
    assert "good" in found
