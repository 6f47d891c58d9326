"""`shoritui chats restore`: a backup in the library's place."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from shoritui.commands.arguments import add_json
from shoritui.commands.chats.library import date, iso, library_path
from shoritui.commands.output import print_json
from shoritui.errors import UserError
from shoritui.folders import user_path
from shoritui.story import Backup, backups, restore
from shoritui.text import printable, size, table

DESCRIPTION: Final = """\
Without an argument, list the backups, newest first. With one, put that backup in the library's
place; the library as it was is backed up first. Every window of the app must be closed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "backup", metavar="BACKUP", nargs="?", help="a number of the list, a name in it, or a file"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """List the backups, or restore one.

    Raises:
        UserError: There is no such backup, it is not sound, or the app is open.
    """
    found = backups(library_path())
    if options.backup is None:
        _list(found, options.json)
        return 0
    before = restore(library_path(), _chosen(options.backup, found))
    print("The backup is the library now.")
    if before is not None:
        print(f"As it was before, it is {printable(before, most=4096)}")
    return 0


def _list(found: Sequence[Backup], as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "backups": [
                    {"path": str(each.path), "made": iso(each.made), "bytes": each.size}
                    for each in found
                ]
            }
        )
    elif found:
        rows = [
            (str(number), date(each.made), size(each.size), printable(each.path.name))
            for number, each in enumerate(found, start=1)
        ]
        print("\n".join(table([("NUMBER", "MADE", "SIZE", "NAME"), *rows], right=(0, 2))))
    else:
        print("There are no backups yet: shoritui chats backup makes one.")


def _chosen(word: str, found: Sequence[Backup]) -> Path:
    for number, each in enumerate(found, start=1):
        if word in (str(number), each.path.name):
            return each.path
    path = user_path(word)
    if not path.is_file():
        raise UserError(
            f"There is no backup {printable(word)!r}: shoritui chats restore lists them."
        )
    return path
