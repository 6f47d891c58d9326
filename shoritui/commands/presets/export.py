"""`shoritui presets export`: presets as files of other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from shoritui.commands.arguments import named_path
from shoritui.engine import check_preset, presets
from shoritui.engine.presets.foreign import export_preset
from shoritui.folders import config_dir, user_path

DESCRIPTION: Final = """\
Write presets as SillyTavern's text completion presets. One that was imported from there takes along
what has no counterpart here. No file is replaced: a new one gets a number.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("names", metavar="NAME", nargs="+", help="a preset, as the list has it")
    parser.add_argument(
        "--as", dest="form", choices=("sillytavern",), default="sillytavern", help="whose format"
    )
    parser.add_argument(
        "--to",
        metavar="DIR",
        type=named_path,
        default=Path(),
        help="the folder to write into (default: this one)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the presets.

    Raises:
        UserError: There is no such preset, or a file cannot be written.
    """
    folder, own = user_path(options.to), config_dir() / "presets"
    found, _ = presets(own)
    for name in options.names:
        check_preset(name, found, own)
    for name in options.names:
        print(export_preset(found[name], own, folder))
    return 0
