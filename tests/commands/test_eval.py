"""The command as a user runs it, with the model that ships: two short stories."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.process import shoritui
from tests.engine.remote.scripted_server import scripted_server, told
from tests.eval.stories import write_stories

pytestmark = pytest.mark.slow


def test_two_presets_side_by_side(tmp_path: Path) -> None:
    folder = write_stories(tmp_path)
    page = tmp_path / "replies.html"
    asked = ("--preset", "card-main", "--preset", "neutral")
    result = shoritui(
        *("eval", "--quick", "--json", "--stories", folder, *asked, "--report", page),
        home=tmp_path / "home",
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert [model["preset"] for model in found["models"]] == ["card-main", "neutral"]
    assert found["stories"] == ["bell", "lock"] and found["interrupted"] is False
    for model in found["models"]:
        assert len(model["replies"]) == 15  # two places and three, three replies each
        assert {"ended", "rank", "known_names", "perplexity", "decode_rate"} <= set(
            model["figures"]
        )
        assert model["figures"]["perplexity"]["value"] > 1
        assert {"ratio_no_hints", "ratio_other_cast", "ratio_other_scene"} <= set(model["figures"])
    first, second = found["models"]
    assert [r["hint"] for r in first["replies"]] == [r["hint"] for r in second["replies"]]
    assert found["people"]["closed"]["value"] == 1
    assert "reply 1 of 30" in result.stderr
    assert "The Lock at Pellow" in page.read_text(encoding="utf-8")


def test_a_table_for_people(tmp_path: Path) -> None:
    folder = write_stories(tmp_path)
    (folder / "lock.txt").unlink()
    result = shoritui("eval", "--stories", folder, "--quick", home=tmp_path / "home")
    assert result.returncode == 0, result.stderr
    table = result.stdout.splitlines()
    assert table[0].split() == ["people", "1"]
    assert "1  shori-demo, card-main" in table
    [ended] = [line for line in table if line.startswith("end by themselves")]
    assert "%" in ended and ".." in ended


PRESETS = [word for number in (1, 2) for word in ("--preset", f"card-alternative-{number}")] * 4
"""So many that it can be stopped before it ends."""


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl+C is sent otherwise there")
def test_ctrl_c_prints_what_is_known(tmp_path: Path) -> None:
    folder = write_stories(tmp_path)
    process = subprocess.Popen(
        [*(sys.executable, "-m", "shoritui", "eval", "--stories", str(folder), "--json"), *PRESETS],
        env={**os.environ, "SHORITUI_HOME": str(tmp_path / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert process.stderr is not None
    while "reply 1 of" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out)["interrupted"] is True


def test_what_is_wrong_is_one_sentence(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    stories = ("--stories", write_stories(tmp_path))
    for arguments, why in (
        (("--stories", empty), "holds no stories"),
        ((*stories, "--preset", "card-mian"), "There is no preset card-mian"),
        ((*stories, "--model", tmp_path / "none.gguf"), "there is no such model file"),
        ((*stories, "--judge", "localhost:1", "--judge-key", "NO_SUCH_KEY"), "is not set"),
        ((*stories, "--judge", "ftp://localhost"), "ftp://localhost"),
        ((*stories, "--judge", "http://127.0.0.1:1"), "127.0.0.1:1"),
        ((*stories, "--report", tmp_path), "is a folder"),
        ((*stories, "--report", "/proc/nowhere/page.html"), "cannot be written"),
        ((*stories, "--seed", "9" * 20), "--seed must be a whole number from 0"),
    ):
        result = shoritui("eval", *arguments, home=tmp_path / "home")
        assert result.returncode in (1, 2) and "reply 1 of" not in result.stderr
        assert why in result.stderr.splitlines()[-1], result.stderr


def test_a_story_that_does_not_fit_the_context_is_left_out(tmp_path: Path) -> None:
    folder = write_stories(tmp_path)
    long = (folder / "lock.txt").read_text(encoding="utf-8")
    words = "The water rose. " * 1000
    (folder / "lock.txt").write_text(long.replace("late with every loaf", words), encoding="utf-8")
    result = shoritui("eval", "--stories", folder, "--quick", home=tmp_path / "home")
    assert result.returncode == 0, result.stderr
    assert "without 3 places whose story does not fit" in result.stdout


async def test_what_was_measured_is_printed_though_the_judge_fails(tmp_path: Path) -> None:
    folder = write_stories(tmp_path)
    async with scripted_server({"/v1/chat/completions": told({}, status=500)}) as server:
        result = await asyncio.to_thread(
            shoritui,
            *("eval", "--stories", folder, "--quick", "--judge", server.url),
            home=tmp_path / "home",
        )
    assert result.returncode == 1
    assert "end by themselves" in result.stdout
    assert "The judge did not mark every reply." in result.stderr.splitlines()[-1]
