"""The files beside a card of another program: what it was made of, of which it holds a part.

orla.toml      the card
orla.json      the whole card of the other program, as it came
orla.png       its picture
orla.charx     the archive that it came in, with more pictures, sounds and the like
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Final

from shoritui.cards.pictures import PICTURE_SUFFIXES, picture_of
from shoritui.files import add_file

JSON_SUFFIX: Final = ".json"
ARCHIVE_SUFFIX: Final = ".charx"
BESIDE: Final = (JSON_SUFFIX, ARCHIVE_SUFFIX, *PICTURE_SUFFIXES)
"""How the names of these files end."""


def foreign_card(card_path: Path) -> Path | None:
    """Return the JSON that a card was made of; None if there is none."""
    return _beside(card_path, JSON_SUFFIX)


def archive_of(card_path: Path) -> Path | None:
    """Return the archive that a card came in; None if there is none."""
    return _beside(card_path, ARCHIVE_SUFFIX)


def copy_beside(card_path: Path, new: Path) -> None:
    """Copy what lies beside a card to another, so that it can go out as fully as the first.

    Raises:
        OSError: It cannot be read or written.
    """
    beside = (foreign_card(card_path), archive_of(card_path), picture_of(card_path))
    for path in filter(None, beside):
        add_file(new.with_suffix(path.suffix), partial(shutil.copyfile, path))


def _beside(card_path: Path, suffix: str) -> Path | None:
    path = card_path.with_suffix(suffix)
    return path if path.is_file() else None
