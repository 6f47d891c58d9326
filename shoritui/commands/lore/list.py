"""`shoritui lore list`: the user's lorebooks."""

from __future__ import annotations

import argparse
from typing import Final

from shoritui.commands.output import print_error
from shoritui.text import one_line, printable, table

DESCRIPTION: Final = """\
List the lorebooks of your own with how many pieces of lore each holds.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments: there are none."""


def run(options: argparse.Namespace) -> int:
    """Print every lorebook as a row; a file that cannot be read is named."""
    from shoritui.cards import find_lorebooks, lore_folder

    books, problems = find_lorebooks()
    if books:
        rows = [("NAME", "PIECES", "TITLE")]
        rows += [
            (printable(path.stem), f"{len(book.lore):,}", one_line(book.title))
            for path, book in books
        ]
        print(*table(rows, right=(1,)), sep="\n")
    elif not problems:
        folder = printable(lore_folder())
        print(f"There are no lorebooks yet: shoritui import takes some in, into {folder}.")
    for problem in problems:
        print_error(problem)
    return int(bool(problems))
