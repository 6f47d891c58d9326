"""`shoritui chats backup`: a copy of the library, now."""

from __future__ import annotations

import argparse
from typing import Final

from shoritui.commands.chats.library import has_library, library_path
from shoritui.errors import UserError
from shoritui.story import back_up
from shoritui.text import printable

DESCRIPTION: Final = """\
Copy the whole library into the folder `backups` beside it, also while the app is open. The app
does so by itself once a day; the last ten copies are kept.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: there are none."""


def run(options: argparse.Namespace) -> int:
    """Print where the copy lies.

    Raises:
        UserError: There is no library yet, or the copy cannot be written.
    """
    if not has_library():
        raise UserError("There are no chats yet, so there is nothing to back up.")
    print(printable(back_up(library_path(), "by-hand"), most=4096))
    return 0
