"""`shoritui lore export`: lore as a lorebook for another program."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from shoritui.commands.arguments import named_path
from shoritui.interop.cards import LORE_FORMATS, export_lore, lore_named
from shoritui.text import printable

DESCRIPTION: Final = """\
Write the lore of a lorebook or a card for another program. What that program, or another one, had
beside it when it was imported comes back. No file is ever replaced: a new one gets a number.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    widest = max(map(len, LORE_FORMATS))
    rows = [f"  {name:{widest}}  {form.summary}" for name, form in LORE_FORMATS.items()]
    parser.epilog = "\n".join(["formats:", *rows])
    parser.add_argument(
        "name",
        metavar="NAME|FILE",
        type=named_path,
        help="a lorebook or a card by its name, or a file, also of another program",
    )
    parser.add_argument(
        "--as",
        dest="form",
        choices=tuple(LORE_FORMATS),
        required=True,
        help="see below",
    )
    parser.add_argument(
        "--to",
        metavar="FILE",
        type=named_path,
        default=Path(),
        help="the file to write, or a folder (default: this one)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the file and print its name.

    Raises:
        UserError: There is no such lore, or the file cannot be written.
    """
    print(printable(export_lore(lore_named(options.name), options.form, options.to)))
    return 0
