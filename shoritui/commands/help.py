"""`shoritui help`: the pages of the guide."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import redirect_stdout
from typing import Final

from shoritui.commands import COMMANDS
from shoritui.commands.output import can_draw
from shoritui.errors import UserError
from shoritui.guide import text, topics
from shoritui.terminal import unfiltered

DESCRIPTION: Final = "Show a page of the guide, or without a topic the list of pages."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("topic", metavar="TOPIC", nargs="?", help="a page, such as keys")


def run(options: argparse.Namespace) -> int:
    """Print a page: laid out on a terminal, as Markdown to a pipe or a file."""
    pages = {topic.name: topic.title for topic in topics()}
    if options.topic is None:
        print("\n".join(f"{name:<14} {title}" for name, title in pages.items()))
        print("\nRead one: shoritui help TOPIC. For a command's options: shoritui COMMAND --help.")
        return 0
    if options.topic in COMMANDS and options.topic not in pages:
        raise UserError(
            f"{options.topic} is a command, not a page: see shoritui {options.topic} --help."
        )
    page = text(options.topic)
    if can_draw():
        _show(page)
    else:
        print(page)
    return 0


def _show(page: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    os.environ.setdefault("LESS", "FRX")  # colours, and no pager for what fits on the screen
    console = Console()
    colours = redirect_stdout(unfiltered(sys.stdout))  # the guide is this program's own
    with colours, console.pager(styles=True, links=False):
        console.print(Markdown(page), width=min(console.width, 100))
