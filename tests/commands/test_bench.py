"""The command as a user runs it: another process, its output, its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROW = {"id", "value", "unit", "aim", "ok", "low", "high", "samples", "note"}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "shoritui", "bench", *map(str, arguments)]


def bench(*arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env={**os.environ, "SHORITUI_HOME": str(home)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def test_the_help_explains_itself(tmp_path: Path) -> None:
    result = bench("--help", home=tmp_path)
    assert result.returncode == 0 and "--shape" in result.stdout


def test_rows_as_json(tmp_path: Path) -> None:
    asked = ("swipe_first_token_ms", "score_extra_decodes")
    result = bench(*asked, "--json", "--context", 2048, home=tmp_path)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert [row["id"] for row in found["rows"]] == list(asked)
    assert all(set(row) == ROW and row["samples"] > 0 for row in found["rows"])
    assert found["rows"][1]["value"] == 0 and found["rows"][1]["ok"] is True
    assert found["context"] == 2048 and found["interrupted"] is False
    assert "1/2 swipe_first_token_ms" in result.stderr


def test_a_model_of_a_shape_is_made_and_measured(tmp_path: Path) -> None:
    result = bench("score_extra_decodes", "--shape", "tiny", "--quant", "q8_0", home=tmp_path)
    assert result.returncode == 0, result.stderr
    head, _, row, *_ = result.stdout.splitlines()
    assert head.startswith("random tiny (llama") and "context 4,096" in head
    assert row.split()[:2] == ["score_extra_decodes", "0"]
    assert list((tmp_path / "cache" / "bench").glob("*tiny-q8_0*.gguf"))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_ctrl_c_ends_it_with_the_rows_so_far(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("score_extra_decodes", "logits_distance_exact", "--full", "--json"),
        env={**os.environ, "SHORITUI_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("2/2"):
            break
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    found = json.loads(output)
    assert [row["id"] for row in found["rows"]] == ["score_extra_decodes"]
    assert found["interrupted"] is True and "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["decode_vs_d"], "did you mean decode_vs_c?"),
        (["--context", "100"], "at least 2,048"),
        (["--shape", "8b"], "There is no shape '8b'"),
        (["--shape", "tiny", "--model", "some.gguf"], "give one of them"),
        (["--model", "nowhere.gguf"], "nowhere.gguf"),
    ],
)
def test_a_users_error_is_one_sentence(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    result = bench(*arguments, home=tmp_path)
    assert result.returncode == 1
    assert sentence in result.stderr and result.stderr.count("\n") == 1
    assert result.stdout == ""
