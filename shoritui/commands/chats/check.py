"""`shoritui chats check`: whether the library is sound."""

from __future__ import annotations

import argparse
from typing import Final

from shoritui.commands.arguments import add_json
from shoritui.commands.chats.library import open_library
from shoritui.commands.output import print_json

DESCRIPTION: Final = """\
Look for damage: in the file's pages, in its rows, and in the order of each chat's messages. Nothing
is changed but a damaged search index, which is made anew. The exit code is 1 if there is any.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print what is wrong, a sentence each.

    Raises:
        UserError: There is no library, or it cannot be opened at all.
    """
    with open_library() as library:
        problems = library.check()
    if options.json:
        print_json({"problems": problems})
    elif problems:
        print("\n".join([*problems, "To go back to a backup: shoritui chats restore"]))
    else:
        print("The library is sound.")
    return int(bool(problems))
