"""`shoritui presets list`: the presets that ship and the user's own."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Final

from shoritui.commands.arguments import add_json
from shoritui.commands.output import print_error, print_json
from shoritui.engine import Preset, Sampling, presets
from shoritui.folders import config_dir
from shoritui.text import one_line, table

DESCRIPTION: Final = """\
List name and title of each preset: those that ship, then your own.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print every preset as a row, or all as JSON; files that are wrong are named."""
    found, wrong = presets(config_dir() / "presets")
    if options.json:
        print_json({"presets": [_facts(preset) for preset in found.values()]})
    else:
        rows = [("PRESET", "WHAT IT IS")]
        rows += [(preset.name, one_line(preset.title)) for preset in found.values()]
        print("\n".join(table(rows)))
    for sentence in wrong:
        print_error(sentence)
    return 0


def _facts(preset: Preset) -> dict[str, object]:
    values = {field.name: getattr(preset.sampling, field.name) for field in fields(Sampling)}
    return {"name": preset.name, "title": preset.title, "sampling": values}
