"""`shoritui finetune import-axolotl`: a config from axolotl's YAML files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from shoritui.commands.arguments import named_path
from shoritui.commands.finetune.arguments import DEFAULT_CONFIG
from shoritui.commands.finetune.output import write_new
from shoritui.finetune.axolotl import config_of
from shoritui.finetune.config.load import parse_config
from shoritui.finetune.config.write import text_of
from shoritui.text import counted

DESCRIPTION: Final = """\
Make finetune.toml from one YAML file per tier, in the order of training, and list what has no
counterpart here.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("files", metavar="YAML", type=named_path, nargs="+", help="a tier's config")
    parser.add_argument(
        "--to",
        metavar="FILE",
        type=named_path,
        default=DEFAULT_CONFIG,
        help=f"the config to write (default: {DEFAULT_CONFIG})",
    )


def run(options: argparse.Namespace) -> int:
    """Write a config from axolotl's files.

    Raises:
        UserError: A file cannot be understood, or the config is there already.
    """
    target: Path = options.to
    config, notes = config_of(options.files, target)
    text = text_of(config)
    parse_config(target, text)
    write_new(target.parent, {target.name: text})
    for note in notes:
        print(note)
    names = ", ".join(tier.name for tier in config.tiers)
    tiers = counted(len(config.tiers), "tier")
    print(f"{target} is written, with {tiers}: {names}.")
    return 0
