"""Writing a card into its file.

It never overwrites a file that it cannot read, and never leaves half a file.
"""

from __future__ import annotations

import os
from pathlib import Path

from shoritui.cards.load import KIND, check_card, parse_card
from shoritui.cards.model import Card
from shoritui.cards.plain import to_data
from shoritui.errors import UserError
from shoritui.files import replace_text
from shoritui.sheets import read_text, told


def save_card(path: str | os.PathLike[str], card: Card) -> None:
    """Writes the card to `path`; in a file that exists, only what differs is changed.

    The card's `source` is not written. The new file replaces the old one in one step.

    Raises:
        UserError: The card is not right, or the file there cannot be read or written.
    """
    from shoritui.cards.edit import edited  # tomlkit: some 30 ms that only a writer should pay

    target = Path(path).expanduser().resolve()
    card = check_card(card)
    old = read_text(target, KIND) if target.exists() else ""
    try:
        text = edited(old, to_data(card))
    except ValueError as error:
        raise told(target, f"this is not TOML, so it was left as it is ({error})") from error
    _prove(target, text, card)
    try:
        replace_text(target, text)
    except OSError as error:
        raise told(target, f"the file cannot be written ({error.strerror})") from error


def _prove(path: Path, text: str, card: Card) -> None:
    """Reads the new text back before anything is replaced by it."""
    try:
        written = to_data(parse_card(path, text))
    except UserError:
        written = {}
    if written != to_data(card):
        sentence = "this file cannot be changed safely, so it was left as it is"
        raise told(path, f"{sentence}; save under another name")
