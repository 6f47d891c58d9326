"""`finetune init`, `import-axolotl`, `export-axolotl`: configs begun, taken over and given away.

It does not know how any of it is read in training.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from shoritui.blockml import clean
from shoritui.files import replace_text
from shoritui.finetune.config.axolotl_in import config_of
from shoritui.finetune.config.axolotl_out import SCRIPT, files_of, notes_of
from shoritui.finetune.config.choose import FILE, chosen
from shoritui.finetune.config.load import parse_config
from shoritui.finetune.config.shipped import shipped
from shoritui.finetune.config.write import text_of
from shoritui.sheets import told

_STARTER: Final = {
    "data/high/a-borrowed-ladder.txt": "a-borrowed-ladder.txt",
    "data/README.md": "README.md",
}


def init(options: argparse.Namespace) -> int:
    """Writes a config and folders for the data; what is there stays.

    Raises:
        UserError: A file of the same name is there already, or the folder cannot be written.
    """
    folder: Path = options.folder.expanduser()
    config = shipped(folder / FILE)
    shelf = Path(__file__).with_name("starter")
    texts = {name: (shelf / file).read_text(encoding="utf-8") for name, file in _STARTER.items()}
    texts[FILE] = text_of(config)  # last: with it the folder is whole
    _write(folder, texts)
    for tier in config.tiers:
        for pattern in tier.files:
            (folder / pattern).parent.mkdir(parents=True, exist_ok=True)
    print(clean(f"{config.path} and the folders of its data are written."))
    print(clean(f"Put conversations into {folder / 'data'}; then: shoritui finetune {config.path}"))
    return 0


def import_axolotl(options: argparse.Namespace) -> int:
    """Writes a config from axolotl's YAML files, and tells what has no counterpart.

    Raises:
        UserError: A file cannot be understood, or the config is there already.
    """
    target: Path = options.to.expanduser()
    config, notes = config_of([file.expanduser() for file in options.files], target)
    text = text_of(config)
    parse_config(target, text)
    _write(target.parent, {target.name: text})
    for note in notes:
        print(clean(note))
    names = ", ".join(tier.name for tier in config.tiers)
    print(clean(f"{target} is written, with {_count(len(config.tiers), 'tier')}: {names}."))
    return 0


def export_axolotl(options: argparse.Namespace) -> int:
    """Writes axolotl's YAML files, the data as it reads it, and a script that trains the chain.

    Raises:
        UserError: The config or its data is not right, or one of the files is there already.
    """
    config = chosen(options)
    folder: Path = options.to.expanduser()
    _write(folder, dict(files_of(config)))
    script = folder / SCRIPT
    script.chmod(script.stat().st_mode | 0o111)
    for note in notes_of(config):
        print(clean(note))
    print(clean(f"{_count(len(config.tiers), 'tier')} for axolotl in {folder}; run {script}"))
    return 0


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    """Writes files that are not there yet: all of them, or none."""
    for name in reversed(list(texts)):
        if (folder / name).exists():
            raise told(folder / name, "this is there already, so nothing was written")
    try:
        for name, text in texts.items():
            replace_text(folder / name, text)
    except OSError as error:
        raise told(folder, f"this folder cannot be written ({error.strerror})") from error


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"
