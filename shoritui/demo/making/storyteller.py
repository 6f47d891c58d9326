"""The one command that makes the storyteller's adapter: `shoritui finetune` on the stories.

`python -m shoritui.demo.making.storyteller`; stopped, it goes on where it was.

    demo/stories/{low,mid,high,top}  ─▶ four tiers on SmolLM2 ─▶ demo/shori-storyteller.gguf
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from shoritui.demo import RECIPE, STORIES, adapter_path

_FINETUNE: Final = (sys.executable, "-m", "shoritui", "finetune")


def make(work: Path, out: Path, stories: Path = STORIES) -> int:
    """Train in the folder `work` what is not trained yet, and write the adapter; an exit code.

    The adapter is compared with what was trained: llama.cpp must find the same words as likely.
    """
    shutil.copytree(stories, work, dirs_exist_ok=True)
    config = str(work / RECIPE)
    done = subprocess.run([*_FINETUNE, config, "--plain"], check=False)
    if done.returncode:
        return done.returncode
    export = [*_FINETUNE, "export", config, "--as", "lora-f16", "--to", str(out), "--verify"]
    return subprocess.run(export, check=False).returncode


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m shoritui.demo.making.storyteller",
        description="Make the adapter that ships, from the stories that ship, on a CPU.",
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("build/storyteller"),
        help="the folder to train in (build/storyteller)",
    )
    parser.add_argument("--out", type=Path, default=adapter_path(), help="the file to write")
    parser.add_argument(
        "--stories",
        type=Path,
        default=STORIES,
        help="a folder of stories with their finetune.toml: a few of them, to try it",
    )
    options: Any = parser.parse_args(arguments)
    return make(options.work, options.out, options.stories)


if __name__ == "__main__":
    sys.exit(main())
