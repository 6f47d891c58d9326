"""`finetune init`: a config and folders to begin with.

It does not know how any of it is read.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from shoritui.blockml import clean
from shoritui.files import replace_text
from shoritui.finetune.config.choose import FILE
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
    for name in reversed(texts):
        if (folder / name).exists():
            raise told(folder / name, "this is there already, so nothing was written")
    try:
        for tier in config.tiers:
            for pattern in tier.files:
                (folder / pattern).parent.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            replace_text(folder / name, text)
    except OSError as error:
        raise told(folder, f"this folder cannot be written ({error.strerror})") from error
    print(clean(f"{config.path} and the folders of its data are written."))
    print(clean(f"Put conversations into {folder / 'data'}; then: shoritui finetune {config.path}"))
    return 0
