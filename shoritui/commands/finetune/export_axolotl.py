"""`shoritui finetune export-axolotl`: a config as axolotl's YAML files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from shoritui.commands.arguments import named_path
from shoritui.commands.finetune.arguments import add_config
from shoritui.commands.finetune.output import write_new
from shoritui.finetune.axolotl import SCRIPT, files_of, notes_of
from shoritui.finetune.config.load import chosen
from shoritui.text import counted, shell_word

DESCRIPTION: Final = "Write one YAML file per tier, and a script that trains them in order."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    parser.add_argument(
        "--to",
        metavar="DIR",
        type=named_path,
        default=Path("axolotl"),
        help="the folder to write (default: axolotl)",
    )


def run(options: argparse.Namespace) -> int:
    """Write axolotl's YAML files, the data as it reads it, and the script.

    Raises:
        UserError: The config or its data is not right, or one of the files is there already.
    """
    config = chosen(options)
    folder: Path = options.to
    write_new(folder, dict(files_of(config)))
    script = folder / SCRIPT
    script.chmod(script.stat().st_mode | 0o111)
    for note in notes_of(config):
        print(note)
    tiers = counted(len(config.tiers), "tier")
    print(f"{tiers} for axolotl in {folder}; run {shell_word(script)}")
    return 0
