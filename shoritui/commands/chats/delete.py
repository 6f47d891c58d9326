"""`shoritui chats delete`: chats into the bin."""

from __future__ import annotations

import argparse
from typing import Final

from shoritui.commands.chats.library import add_chats, open_library, shown, the_chats
from shoritui.story import BIN_DAYS
from shoritui.text import command

DESCRIPTION: Final = f"""\
Put chats into the bin. There they lie for {BIN_DAYS} days, and can be taken back; then they are
erased. `shoritui chats list --bin` shows what is in it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_chats(parser)


def run(options: argparse.Namespace) -> int:
    """Put the chats into the bin.

    Raises:
        UserError: One of them is not there, or is open in a window.
    """
    with open_library() as library:
        for chat in the_chats(options.chats, library.summaries()):
            library.delete_chat(chat.id)
            back = command("chats", "undelete", chat.id)
            print(f"In the bin: {shown(chat)}. To take it back: {back}")
    return 0
