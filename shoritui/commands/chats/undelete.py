"""`shoritui chats undelete`: chats out of the bin again."""

from __future__ import annotations

import argparse
from typing import Final

from shoritui.commands.chats.library import add_chats, open_library, shown, the_chats

DESCRIPTION: Final = "Take chats out of the bin. `shoritui chats list --bin` shows what is in it."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_chats(parser)


def run(options: argparse.Namespace) -> int:
    """Put the chats among the others again.

    Raises:
        UserError: One of them is not in the bin.
    """
    with open_library() as library:
        for chat in the_chats(options.chats, library.summaries(deleted=True)):
            library.restore_chat(chat.id)
            print(f"Taken back: {shown(chat)}")
    return 0
