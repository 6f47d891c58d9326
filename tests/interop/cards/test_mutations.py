"""Damaged and hostile files end in one sentence; `tests.interop.cards.mutations` tries more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_damaged_files_are_cards_or_a_sentence_within_a_limit_of_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.interop.cards.mutations", "80", "7"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0 and "0 tracebacks" in done.stdout, done.stdout + done.stderr
