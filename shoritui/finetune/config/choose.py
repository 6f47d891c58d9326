"""The config that a command is about: the one that is named, or the demo's.

It does not know what the command does with it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from shoritui.blockml import clean
from shoritui.errors import UserError
from shoritui.finetune.config.load import load
from shoritui.finetune.config.model import Config
from shoritui.settings import data_dir
from shoritui.sheets import told

DEMO_FOLDER: Final = "finetune-demo"
FILE: Final = "finetune.toml"


def chosen(options: argparse.Namespace) -> Config:
    """The config of `options.config`, or of the demo where `options.demo` is set.

    Raises:
        UserError: There is none, or it is not right.
    """
    if getattr(options, "demo", False):
        folder = _demo_folder()
        print(f"The demo's config and data are in {clean(str(folder))}.", file=sys.stderr)
        return load(folder / FILE)
    path: Path = options.config
    if path == Path(FILE) and not path.exists():
        raise UserError(
            f"There is no {FILE} in this folder: name a config, or write one with "
            "`shoritui finetune init`."
        )
    return load(path)


def _demo_folder() -> Path:
    """The user's own copy of the demo's data, made once: they may change it and train again."""
    folder = data_dir() / DEMO_FOLDER
    if not folder.exists():
        from shoritui.demo.tiers import write_folder  # makes up whole scenes

        try:
            write_folder(folder)
        except OSError as error:
            raise told(folder, f"the demo's data cannot be written here ({error})") from error
    return folder
