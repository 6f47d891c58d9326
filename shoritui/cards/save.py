"""Write a card into its file or a new one: never over one that cannot be read, never by halves."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Final

from shoritui.cards.beside import BESIDE
from shoritui.cards.load import KIND, check_card, parse_card
from shoritui.cards.model import Card
from shoritui.cards.plain import to_data
from shoritui.errors import UserError
from shoritui.files import add_text, is_there, portable, replace_text, why
from shoritui.folders import user_path
from shoritui.text import composed
from shoritui.toml import LARGEST, file_error, read_text

_LONGEST_NAME: Final = 60
"""Letters of a title in a file's name."""
_TOO_LARGE: Final = "this would be too large for a card (at most 2 MB)"


def save_card(path: str | os.PathLike[str], card: Card) -> None:
    """Write the card to `path`; in a file that exists, only what differs is changed.

    The card's `source` is not written. The new file replaces the old one in one step.
    `UserError` if the card is not right, or the file there cannot be read or written.
    """
    from shoritui.cards.edit import edited  # tomlkit: some 30 ms that only a writer should pay

    target = user_path(path).resolve()
    card = check_card(card)
    old = read_text(target, KIND) if is_there(target) else ""
    try:
        text = edited(old, to_data(card))
    except ValueError as error:
        raise file_error(target, f"this is not TOML, so it was left as it is ({error})") from error
    _prove(target, text, card)
    try:
        replace_text(target, text)
    except OSError as error:
        raise file_error(target, f"the file cannot be written ({error.strerror})") from error


def add_card(folder: Path, name: str, card: Card, *, cast: bool = True) -> Path:
    """Write the card as a new file of this name in a folder, and return the file.

    A file that is there already stays as it is, also one that would lie beside the new card and
    belong to it: the new one gets a number. Without `cast`, nobody need be in it, as in a lorebook.

    Raises:
        UserError: The card is not right, or the file cannot be written.
    """
    from shoritui.cards.edit import edited

    words = re.findall(r"\w+", composed(name).casefold())
    path = folder / portable(f"{'-'.join(words)[:_LONGEST_NAME].strip('-_') or 'scene'}.toml")
    card = check_card(card, cast=cast)
    data = to_data(card)
    if len(json.dumps(data, ensure_ascii=False)) > 2 * LARGEST:
        raise UserError(_TOO_LARGE)  # before minutes go into writing it
    text = edited("", data)
    if len(text.encode()) > LARGEST:
        raise UserError(_TOO_LARGE)  # without a path: no file of that name need be there
    _prove(path, text, card, cast=cast)
    try:
        return add_text(path, text, beside=BESIDE)
    except OSError as error:
        raise file_error(path, f"the file cannot be written ({why(error)})") from error


def _prove(path: Path, text: str, card: Card, *, cast: bool = True) -> None:
    """Read the new text back before anything is replaced by it."""
    if len(text.encode()) > LARGEST:
        raise file_error(path, _TOO_LARGE)
    try:
        written = to_data(parse_card(path, text, cast=cast))
    except UserError:
        written = {}
    if written != to_data(card):
        sentence = "this file cannot be changed safely, so it was left as it is"
        raise file_error(path, f"{sentence}; save under another name")
