"""`shoritui import`: cards, lorebooks and chats out of files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from shoritui.commands.chats.library import open_library, shown
from shoritui.commands.output import print_error
from shoritui.errors import UserError
from shoritui.interop import import_file
from shoritui.interop.cards import import_card
from shoritui.text import one_line

DESCRIPTION: Final = """\
Take files in from other programs, each recognised by what it holds: a character card (V1
to V3: JSON, PNG, JPEG, WEBP, CharX, YAML) becomes a card of your own, world info a lorebook, a chat
a chat. Nothing is replaced.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="a card, lore or chat")


def run(options: argparse.Namespace) -> int:
    """Import the files; one that cannot be is named, and the others are imported all the same."""
    failed = False
    for file in options.files:
        try:
            print(_taken_in(file))
        except UserError as error:
            print_error(str(error))
            failed = True
    return int(failed)


def _taken_in(file: Path) -> str:
    """Import one file, and return what it became."""
    if (card := import_card(file)) is not None:
        return card.sentences
    with open_library(create=True) as library:
        chat = import_file(library, file, print_error)
    return f"Imported: {shown(chat)}; you are {one_line(chat.user)}"
