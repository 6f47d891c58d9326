"""Commands as a script uses them: another process, its output, its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CARD = '''
title = "The Lantern on the Quay"
tags = ["ferry", "fog"]
scenario = "Before dawn, they must find the brass lantern."

[[character]]
name = "Mara"
description = "Mara is a patient ferry pilot who carries a brass lantern."

[[character]]
name = "Tobin"
description = "Tobin is a sarcastic cook who carries a bent spoon."

[[character]]
name = "Wren"
description = "Wren keeps the log."
user = true

[[message]]
speaker = "Mara"
text = """Mara lifted the brass lantern. "Who goes there?" """
'''


def shoritui(*arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with its settings and data in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", "shoritui", *map(str, arguments)],
        env={**os.environ, "SHORITUI_HOME": str(home)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
