"""The commands of `shoritui finetune`, as the command line sees them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal

_WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from shoritui.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("word", ["run", "plan", "bench"])
def test_without_the_extra_a_sentence_says_what_to_install(word: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", _WITHOUT_TORCH, "finetune", word],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    assert said.stderr == (
        "shoritui: torch is not installed; pip install 'shoritui[finetune]' brings it.\n"
    )


@pytest.mark.slow
def test_a_dumb_terminal_gets_lines_and_no_live_view(tmp_path: Path) -> None:
    home = {"SHORITUI_HOME": str(tmp_path), "TERM": "dumb"}
    command = (sys.executable, "-m", "shoritui", "finetune")
    with Terminal((*command, "init", str(tmp_path)), env=home) as screen:
        assert screen.wait_until_ended(60) == 0
    with Terminal((*command, str(tmp_path / "finetune.toml")), env=home) as screen:
        assert screen.wait_until_ended(120) == 1, "the other tiers have no data yet"
        assert "shoritui: " in screen.text and b"\x1b[?1049h" not in screen.output
