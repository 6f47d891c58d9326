"""`shoritui finetune init`: begin a config and the folders of its data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from shoritui.commands.arguments import named_path
from shoritui.commands.finetune.output import write_new
from shoritui.demo import RECIPE, SMOLLM2_INSTALL
from shoritui.demo.sample import sample
from shoritui.finetune.config.load import FILE
from shoritui.finetune.config.starter import shipped
from shoritui.finetune.config.write import text_of
from shoritui.text import command

DESCRIPTION: Final = """\
Write finetune.toml, with the model card's five tiers and every setting explained, a folder for
each tier's conversations, and a sample conversation to replace. Nothing is overwritten.
"""
_STARTER: Final = {
    "data/high/a-borrowed-ladder.txt": "a-borrowed-ladder.txt",
    "data/README.md": "README.md",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--sample",
        action="store_true",
        help="write the stories that ship and their config instead: the storyteller's recipe",
    )
    parser.add_argument(
        "folder",
        metavar="DIR",
        type=named_path,
        nargs="?",
        default=Path(),
        help="the folder to write into (default: this one)",
    )


def run(options: argparse.Namespace) -> int:
    """Write a config and folders for the data.

    Raises:
        UserError: A file of the same name is there already, or the folder cannot be written.
    """
    folder: Path = options.folder
    if options.sample:
        write_new(folder, sample())
        print(f"Wrote {folder / RECIPE} and the stories that the storyteller learnt from.")
        print(f"Its base is needed, and hours on a CPU: {SMOLLM2_INSTALL}")
        return 0
    config = shipped(folder / FILE)
    starter = Path(__file__).with_name("starter")
    texts = {name: (starter / file).read_text(encoding="utf-8") for name, file in _STARTER.items()}
    texts[FILE] = text_of(config)  # last: with it the folder is whole
    write_new(folder, texts)
    for tier in config.tiers:
        for pattern in tier.files:
            (folder / pattern).parent.mkdir(parents=True, exist_ok=True)
    print(f"Wrote {config.path} and its data folders.")
    print(f"Put conversations into {folder / 'data'}: tiers without any are left out.")
    print(f"Then: {command('finetune', 'check', config.path)}")
    return 0
