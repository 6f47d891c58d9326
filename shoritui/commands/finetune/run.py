"""`shoritui finetune run`: train what has changed, with the live view, as lines, or as JSON.

The training is done by a process of its own, or, under torchrun, by this one.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from typing import Final

from shoritui.commands.finetune.arguments import add_config, lacking
from shoritui.commands.output import has_screen
from shoritui.host.process import is_one_of_many
from shoritui.host.signals import end_with_terminal

DESCRIPTION: Final = """\
Train every tier that has changed since it was last trained, and the tiers that build on it.
Ctrl+C saves and stops; the same command continues from there.
"""
_NEEDED: Final = ("gguf", "sentencepiece", "torch", "transformers", "peft", "bitsandbytes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    parser.add_argument(
        "--demo",
        action="store_true",
        help="train the five tiers that ship, on the small model that ships, on the CPU",
    )
    parser.add_argument(
        "--plain", action="store_true", help="print lines instead of opening the live view"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the run's events, one JSON object a line"
    )


def run(options: argparse.Namespace) -> int:
    """Train what has changed.

    Without the live view, the first Ctrl+C saves and ends, a second one ends at once.

    Returns:
        The exit code: 0, 1 if it failed, 130 if it was stopped.
    """
    # Said here, before a screen opens for a process that could only say the same.
    for package in _NEEDED:
        if find_spec(package) is None:
            raise lacking(package)
    if has_screen() and not (options.json or options.plain or is_one_of_many()):
        end_with_terminal()
        from shoritui.tui import watch

        return watch(options)
    from shoritui.commands.finetune import run_in_lines

    return run_in_lines.run_here(options) if is_one_of_many() else run_in_lines.follow(options)
