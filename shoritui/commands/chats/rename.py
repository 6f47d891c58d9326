"""`shoritui chats rename`: another title for a chat."""

from __future__ import annotations

import argparse
from typing import Final

from shoritui.commands.chats.library import add_chat, open_library, shown, the_chat
from shoritui.errors import UserError
from shoritui.text import is_visible, one_line

DESCRIPTION: Final = "Give a chat another title. The scene's title, which the model reads, stays."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_chat(parser)
    parser.add_argument("title", metavar="TITLE", help="what to call it")


def run(options: argparse.Namespace) -> int:
    """Rename the chat.

    Raises:
        UserError: There is no such chat, it is open in a window, or the title is empty.
    """
    title = one_line(options.title)
    if not is_visible(title):
        raise UserError("A title needs at least one letter.")
    with open_library() as library:
        chat = the_chat(options.chat, library.summaries())
        print(f"Renamed: {shown(library.rename_chat(chat.id, title))}")
    return 0
