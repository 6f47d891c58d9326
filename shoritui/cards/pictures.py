"""A card's picture: an image file beside the card's file, with the same name.

mira.toml
mira.png
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from shoritui.cards.model import Card

PICTURE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp")
"""How the names of pictures end, in small letters or capitals; the first that is there counts."""


def picture_of(card_path: Path) -> Path | None:
    """Return the picture beside a card's file; None if there is none.

    What is in it is not looked at: it may be any file with such a name.
    """
    for suffix in (*PICTURE_SUFFIXES, *map(str.upper, PICTURE_SUFFIXES)):
        picture = card_path.with_suffix(suffix)
        if picture.is_file():
            return picture
    return None


def pictures_of(card: Card) -> list[Path]:
    """Return the pictures beside the files that a card was made of."""
    found = (picture_of(Path(source)) for source in card.source.split(", ") if source)
    return [picture for picture in found if picture is not None]
