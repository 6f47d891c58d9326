"""`shoritui cards export`: cards as files of other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from shoritui.cards import card_files
from shoritui.commands.arguments import named_path
from shoritui.commands.output import print_error
from shoritui.interop.cards import CARD_FORMATS, export_card, whole_card

DESCRIPTION: Final = """\
Write a card as a file of another program. What it was imported from goes out with it: fields that
have no place here as they came, the others as you have changed them. Each character but the user's
own becomes a file. No file is ever replaced: a new one gets a number.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    rows = [f"  {name:5}  {each.summary}" for name, each in CARD_FORMATS.items()]
    parser.epilog = "\n".join(["formats:", *rows])
    parser.add_argument(
        "card",
        metavar="NAME|FILE",
        type=named_path,
        help="a card that `shoritui chat` lists, a TOML file, or a card of another program",
    )
    parser.add_argument(
        "--as",
        dest="form",
        choices=tuple(CARD_FORMATS),
        default="png",
        help="the format, see below (default: png)",
    )
    parser.add_argument(
        "--to",
        metavar="FILE",
        type=named_path,
        default=Path(),
        help="the file, or the folder, to write into (default: this folder)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the card.

    Raises:
        UserError: There is no such card, or it cannot be read, or a file cannot be written.
    """
    [path] = card_files([options.card])
    done = export_card(whole_card(path), options.form, options.to)
    for each in done.paths:
        print(each)
    for sentence in done.told:
        print_error(sentence)
    return 0
