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


def test_a_preset_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "Windows.TOML").write_bytes(b"\xef\xbb\xbfmin_p = 0.2\r\ntop_k = 3\r\n")
    found, problems = presets(tmp_path)
    assert problems == []
    assert found["Windows"].sampling.min_p == 0.2


def test_a_missing_folder_is_no_problem(tmp_path: Path) -> None:
    assert presets(tmp_path / "none")[1] == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "temperature = 1.0\n\nmin_q = 0.1\n",
            'line 3: "min_q" is not a field at the top of the file; did you mean "min_p"?',
        ),
        (
            'top_p = "high"\n',
            'line 1: "top_p" must be a number from 0 to 1, not the text "high"',
        ),
        ("title = 3\n", 'line 1: "title" must be text in quotes, not 3'),
        ("temperature = \n", "line 1, column 15: this is not TOML (invalid value)"),
        ("[min_p]\nx = 1\n", 'line 1: "min_p" must be a number from 0 to 1, not a table'),
        (
            "min_p = inf\ntop_k = -1\n",
            'line 1: "min_p" must be a number from 0 to 1, not inf (1 more after this one)',
        ),
        (
            "mirostat = 2\nadaptive_target = 0.5\n",
            "line 2: mirostat and adaptive_target both draw the token: set one to 0",
        ),
        (
            "[logit_bias]\n'the' = -1\n'a' = 'b'\n",
            'line 3: "a" of [logit_bias] must be a number from -100 to 100, not the text "b"',
        ),
    ],
)
def test_a_bad_file_gets_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    (tmp_path / "good.toml").write_text("min_p = 0.2\n")
    (tmp_path / "torn.toml").write_bytes(b"title = '\xff'\n")
    found, problems = presets(tmp_path)
    torn = "line 1: the file is not UTF-8 text; save it as UTF-8"
    assert problems == [f"{tmp_path / 'bad.toml'}: {sentence}", f"{tmp_path / 'torn.toml'}: {torn}"]
    assert "good" in found
