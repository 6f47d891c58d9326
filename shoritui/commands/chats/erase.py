"""`shoritui chats erase`: chats out of the bin, for good."""

from __future__ import annotations

import argparse
from typing import Final

from shoritui.commands.chats.library import open_library, shown, the_chats
from shoritui.errors import UserError

DESCRIPTION: Final = """\
Erase chats that lie in the bin, for good. `shoritui chats list --bin` shows what is in it; `--all`
empties it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("chats", nargs="*", metavar="CHAT", help="a number or a title in the bin")
    parser.add_argument("--all", action="store_true", help="empty the bin")


def run(options: argparse.Namespace) -> int:
    """Erase the chats.

    Raises:
        UserError: One of them is not in the bin, or none is named.
    """
    if bool(options.chats) == options.all:
        raise UserError("Name the chats to erase, or empty the bin with --all.")
    with open_library() as library:
        gone = library.summaries(deleted=True)
        chosen = gone if options.all else the_chats(options.chats, gone)
        library.erase_chats([chat.id for chat in chosen])
        for chat in chosen:
            print(f"Erased: {shown(chat)}")
        if not chosen:
            print("The bin is empty.")
    return 0
