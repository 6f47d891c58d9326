"""`shoritui finetune bench` as a user runs it, on shapes that take no time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from shoritui.cli import main
from shoritui.finetune.bench.gpu import OWED, beside_peft, equal_in_nf4, on_levels
from shoritui.finetune.bench.lab import Lab
from shoritui.finetune.bench.measurements import MEASUREMENTS
from tests.benchmarks import gpu as script

pytestmark = pytest.mark.slow

ROW = {"id", "value", "unit", "aim", "ok", "low", "high", "samples", "note"}
GPU_ROWS = ("tokens_per_second", "tokens_per_second_vs_peft", "peak_error_offload")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Two that wait for each other take seconds over what is this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rows_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, Any]]:
    assert main(["finetune", "bench", *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["interrupted"] is False
    assert all(set(row) == ROW for row in found["rows"])
    return {row["id"]: row for row in found["rows"]}


def test_packed_is_unpacked_and_gradients_are_pefts(capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(capsys, "equality")
    assert list(rows) == ["packed_vs_unpacked", "gradients_vs_peft"]
    assert all(row["ok"] is True for row in rows.values())


def test_steps_are_timed_beside_peft(capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(capsys, "cpu_step_vs_peft", "--shape", "tiny", "--tokens", "128")
    assert rows["cpu_step_vs_peft"]["samples"] == 3 and rows["cpu_step_vs_peft"]["value"] > 0


def test_a_small_base_is_timed_with_one_and_two_threads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = rows_of(capsys, "cpu_fp32_vs_peft_1", "--shape", "tiny", "--tokens", "128")
    assert list(rows) == ["cpu_fp32_vs_peft_1"] and "tokens a second" in rows.popitem()[1]["note"]
    assert torch.get_num_threads() == 1


def test_the_plan_is_held_against_its_aims(capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(capsys, "traced_gib_lowest", "--shape", "tiny", "--tokens", "512")
    assert list(rows) == ["traced_gib_lowest"] and rows["traced_gib_lowest"]["ok"] is True


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to measure on")
def test_without_a_gpu_its_rows_are_owed(capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(capsys, *GPU_ROWS)
    assert set(rows) == set(GPU_ROWS)
    for row in rows.values():
        assert row["value"] is None and row["ok"] is None and row["note"] == OWED
    assert main(["finetune", "bench", *GPU_ROWS]) == 0
    assert capsys.readouterr().out.count(OWED) == len(GPU_ROWS)


def test_what_is_measured_on_a_gpu_runs_on_any_device() -> None:
    lab, device = Lab("tiny", None, 64, lambda text: None), torch.device("cpu")
    equal = equal_in_nf4(lab, device)
    assert equal["nf4_loss_vs_peft"].samples[0] < 1e-3
    assert equal["nf4_gradients_vs_peft"].samples[0] > 0.999
    figures = {**on_levels(lab, device), **beside_peft(lab, device)}
    assert all(figure.samples for figure in figures.values())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["gradients_vs_left"], "did you mean gradients_vs_peft?"),
        (["equality", "--shape", "8b"], "No shape is called '8b'"),
        (["equality", "--tokens", "1"], "at least 64"),
        (["equality", "--cap-gib", "0"], "expected a number above 0"),
        (["equality", "--cap-gib", "inf"], "expected a number above 0"),
    ],
)
def test_a_users_error_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["finetune", "bench", *arguments]) == 1
    shown = capsys.readouterr()
    assert sentence in shown.err and shown.err.count("\n") == 1 and shown.out == ""


def test_one_script_measures_every_row_that_needs_a_gpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    owed = {aim.id for each in MEASUREMENTS if each.topic == "gpu" for aim in each.aims}
    jobs = script.Sizes().jobs()
    assert owed <= {word for job in jobs for word in job.command}
    tiny = ["--device", "cpu", "--shape", "tiny", "--tokens", "64"]
    asked = ["equality", "inside", *tiny, "--results", str(tmp_path / "gpu.json")]
    assert script.main(asked) == 0
    first, table = (tmp_path / "gpu.json").read_text(), capsys.readouterr()
    found = json.loads(first)
    assert set(found["jobs"]) == {"equality", "inside"}
    assert "product_share" in table.out and "nf4_loss_vs_peft" in table.out
    # Once more: all is there.
    assert script.main(asked) == 0
    again = capsys.readouterr()
    assert again.out == table.out and again.err == "" != table.err
    assert (tmp_path / "gpu.json").read_text() == first
    assert script.main([*asked, "--cap-gib", "8"]) == 1
    assert "results of other sizes" in capsys.readouterr().err


def test_a_job_that_fails_or_takes_too_long_is_a_sentence() -> None:
    failed = script.measured(script.Job("odd", ("finetune", "bench", "gradients"), 60), 60)
    assert failed["ok"] is False and "There is no row 'gradients'" in failed["why"]
    late = script.measured(script.Sizes(device="cpu").jobs()[0], 0.3)
    assert (late["ok"], late["why"]) == (False, "not done within 0.3 s")
    assert "equality: not done" in script.table(script.Sizes().jobs()[:1], {"equality": late})
