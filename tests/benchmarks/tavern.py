"""How long it takes to move in: a SillyTavern folder of 200 cards, 300 chats and 40 lorebooks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from shoritui.benchmark import Aim, Figure, benchmark
from tests.benchmarks._tavern import write_tavern


@benchmark(
    Aim("import_folder_s", "s", "< 60"),
    Aim("import_again_s", "s", "< 10"),
    Aim("import_new", "files", ">= 540"),
    Aim("import_twice", "files", "<= 0"),
    Aim("import_undo_s", "s"),
)
def import_folder() -> dict[str, Figure]:
    """The folder imported, imported again, and taken back, as commands."""
    with tempfile.TemporaryDirectory() as scratch:
        root, home = Path(scratch) / "default-user", Path(scratch) / "home"
        write_tavern(root)
        first, new = _run(home, root)
        again, twice = _run(home, root)
        undo, _ = _run(home, "--undo")
    return {
        "import_folder_s": Figure([first], f"{new} files"),
        "import_again_s": Figure([again]),
        "import_new": Figure([new]),
        "import_twice": Figure([twice]),
        "import_undo_s": Figure([undo]),
    }


def _run(home: Path, argument: object) -> tuple[float, int]:
    """Return the seconds of an import, and how many things are new."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "shoritui", "import", str(argument)],
        env={**os.environ, "SHORITUI_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.monotonic() - started
    last = next((each for each in done.stdout.splitlines() if each.startswith("Imported: ")), "")
    counts = re.findall(r"(\d+) (?:card|lorebook|stor)", last.partition(";")[0])
    return seconds, sum(map(int, counts))
