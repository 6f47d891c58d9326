"""`shoritui chats import`: chats out of files."""

from __future__ import annotations

import argparse
from typing import Final

from shoritui.commands.arguments import named_path
from shoritui.commands.chats.library import open_library, shown
from shoritui.commands.output import print_error
from shoritui.errors import UserError
from shoritui.interop import import_chats
from shoritui.text import one_line

DESCRIPTION: Final = """\
Make a new chat of each file: JSON that `shoritui chats export --format json` wrote, with all its
branches; a chat of SillyTavern (.jsonl), with its swipes; BlockML, whose first blocks become the
scene; or plain text with lines such as `Ada: Hm.`. A chat of SillyTavern and its branches, given
together, are one. Chats that are there stay as they are.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "files", metavar="FILE", nargs="+", type=named_path, help="a file with one chat"
    )


def run(options: argparse.Namespace) -> int:
    """Import the files; one that cannot be is named, and the others are imported all the same."""
    refused: list[UserError] = []
    with open_library(create=True) as library:
        for chat in import_chats(library, options.files, print_error, refused.append):
            print(f"Imported: {shown(chat)}; you are {one_line(chat.user)}")
    for error in refused:
        print_error(str(error))
    return int(bool(refused))
