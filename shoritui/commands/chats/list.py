"""`shoritui chats list`: the chats, or what lies in the bin."""

from __future__ import annotations

import argparse
from typing import Final

from shoritui.commands.arguments import add_json
from shoritui.commands.chats.library import date, facts, has_library, open_library
from shoritui.commands.output import print_json
from shoritui.story import Summary
from shoritui.text import one_line, table

DESCRIPTION: Final = """\
List number, messages, date and title of each chat, the one used last first. Messages of all
branches count, each once however many versions it has. A star marks a favourite.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--bin", action="store_true", help="those in the bin, and since when")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print every chat as a row, or all as JSON."""
    chats: list[Summary] = []
    if has_library():
        with open_library() as library:
            chats = library.summaries(deleted=options.bin)
    if options.json:
        print_json({"chats": [facts(chat) for chat in chats]})
    elif chats:
        when = "DELETED" if options.bin else "LAST USED"
        rows = [("ID", "MESSAGES", when, "TITLE"), *map(_row, chats)]
        print("\n".join(table(rows, right=(0, 1))))
    elif options.bin:
        print("The bin is empty.")
    else:
        print("There are no chats yet: shoritui chat begins one.")
    return 0


def _row(chat: Summary) -> tuple[str, ...]:
    when = chat.updated if chat.deleted is None else chat.deleted
    title = "★ " * chat.favourite + one_line(chat.name) + "  (archived)" * chat.archived
    if chat.is_damaged:
        return str(chat.id), "?", "?", f"{title}  ({one_line(chat.last_line)})"
    return str(chat.id), f"{chat.messages:,}", date(when), title
