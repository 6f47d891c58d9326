"""The config that a command is about: the one that is named, or the demo's.

It does not know what the command does with it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from shoritui.blockml import clean
from shoritui.demo import model_path
from shoritui.errors import UserError
from shoritui.finetune.config.load import load
from shoritui.finetune.config.model import Config
from shoritui.settings import data_dir

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
    """The user's own copy of what ships, made once: they may change it and train again."""
    folder = data_dir() / DEMO_FOLDER
    if folder.exists():
        return folder
    shipped = model_path().with_name("tiers")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{DEMO_FOLDER}.") as beside:
            copy = Path(beside) / DEMO_FOLDER
            shutil.copytree(shipped, copy)
            copy.rename(folder)
    except OSError as error:
        if not folder.exists():  # else another process was first
            raise UserError(f"The demo's data cannot be copied to {folder}: {error}.") from error
    return folder
