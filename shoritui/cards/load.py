"""Card files as cards: reading, checking, merging and finding them.

It does not know who asks, nor what is done with a card.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from shoritui.blockml import clean
from shoritui.cards.check import cast_problems, field_problems
from shoritui.cards.model import Card
from shoritui.cards.plain import from_data, tidied, to_data
from shoritui.errors import UserError
from shoritui.sheets import Sheet, parse_text, read_text, told

KIND: Final = "card"


def load_card(path: str | os.PathLike[str]) -> Card:
    """The card in one file.

    Raises:
        UserError: It cannot be read or is not right; file, line, field and what was expected.
    """
    sheet = _read(Path(path).expanduser())
    sheet.raise_first(cast_problems(sheet.data))
    return _card_of(sheet)


def load_cards(paths: Iterable[str | os.PathLike[str]]) -> Card:
    """One card from several files; a folder stands for the `.toml` files in it.

    The first title and the first scenario win, and the first `user = true`; everything else
    is joined in order. An opening may be spoken by a character of another of the files.

    Raises:
        UserError: A file is not right, or two of them have a character of the same name.
    """
    files = [file for path in paths for file in _files(Path(path).expanduser())]
    sheets = [_read(file) for file in {file.resolve(): file for file in files}.values()]
    if not sheets:
        raise UserError("No card was named, and a scene needs at least one.")
    _check_together(sheets)
    cards = [_card_of(sheet) for sheet in sheets]
    characters = [character for card in cards for character in card.characters]
    user = next((character.name for character in characters if character.user), None)
    return Card(
        title=next((card.title for card in cards if card.title), ""),
        tags=tuple(dict.fromkeys(tag for card in cards for tag in card.tags)),
        scenario=next((card.scenario for card in cards if card.scenario), ""),
        characters=tuple(replace(each, user=each.name == user) for each in characters),
        lore=tuple(entry for card in cards for entry in card.lore),
        messages=tuple(message for card in cards for message in card.messages),
        source=", ".join(card.source for card in cards),
    )


def find_cards(
    folders: Iterable[str | os.PathLike[str]],
) -> tuple[list[tuple[Path, Card]], list[str]]:
    """The cards of these folders (or files) by file name, and one sentence per bad file.

    A folder that does not exist holds none.
    """
    found: list[tuple[Path, Card]] = []
    problems: list[str] = []
    for folder in folders:
        place = Path(folder).expanduser()
        if not place.exists():
            continue
        try:
            files = _files(place, may_be_empty=True)
        except UserError as error:
            problems.append(str(error))
            continue
        for file in files:
            try:
                found.append((file, load_card(file)))
            except UserError as error:
                problems.append(str(error))
    return found, problems


def check_card(card: Card) -> Card:
    """The card without blank space around its texts, if a file may hold it.

    Raises:
        UserError: One sentence: the field, and what was expected.
    """
    data = to_data(card)
    problem = next(field_problems(data), None) or next(cast_problems(data), None)
    if problem:
        raise UserError(" ".join(clean(problem.sentence).split()))
    return tidied(card)


def parse_card(path: Path, text: str) -> Card:
    """The card of a file's text; `path` is only named in errors."""
    sheet = _parse(path, text)
    sheet.raise_first(cast_problems(sheet.data))
    return _card_of(sheet)


def _read(path: Path) -> Sheet:
    return _parse(path, read_text(path, KIND))


def _parse(path: Path, text: str) -> Sheet:
    if not text.strip():
        raise told(path, "line 1: the file is empty; a card needs at least one [[character]]")
    sheet = parse_text(path, text, KIND)
    sheet.raise_first(field_problems(sheet.data))
    return sheet


def _card_of(sheet: Sheet) -> Card:
    """What the file holds, without the blank space around its texts."""
    return tidied(from_data(sheet.data, source=str(sheet.path)))


def _check_together(sheets: list[Sheet]) -> None:
    """Tells of what `cast_problems` finds when all the files make one cast."""
    for sheet in sheets:
        elsewhere = {
            row["name"]: str(other.path)
            for other in sheets
            if other is not sheet
            for row in other.data.get("character", [])
        }
        sheet.raise_first(cast_problems(sheet.data, elsewhere))


def _files(place: Path, *, may_be_empty: bool = False) -> list[Path]:
    """The file itself, or the card files of a folder by name."""
    if not place.is_dir():
        return [place]
    try:
        files = sorted(file for file in place.iterdir() if file.suffix == ".toml")
    except OSError as error:
        raise told(place, f"the folder cannot be read ({error.strerror})") from error
    if not files and not may_be_empty:
        raise told(place, "there is no .toml file in this folder")
    return files
