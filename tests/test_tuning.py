"""The words of `shoritui finetune`, as the command line sees them."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
