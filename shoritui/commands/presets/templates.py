"""`shoritui presets templates`: BlockML for SillyTavern."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from shoritui.commands.arguments import named_path
from shoritui.folders import user_path
from shoritui.interop.templates import FOR_GROUPS, write_templates
from shoritui.settings import load_settings

DESCRIPTION: Final = f"""\
Write BlockML as SillyTavern's templates: a Context template for one character, one for groups, and
the Instruct template that goes with both; beside them your instruction as a system prompt. No file
is replaced: a new one gets a number.

{FOR_GROUPS}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--to",
        metavar="DIR",
        type=named_path,
        default=Path(),
        help="the folder to write into (default: this one)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the templates, and say what a group needs beside.

    Raises:
        UserError: A file cannot be written, or the settings are wrong.
    """
    for path in write_templates(user_path(options.to), load_settings().instruction):
        print(path)
    print(FOR_GROUPS)
    return 0
