"""Load cards: find their files, read and check them, and make one scene of several."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from shoritui.cards.check import cast_problems
from shoritui.cards.fields import FIELDS
from shoritui.cards.macros import of_character
from shoritui.cards.model import Card
from shoritui.cards.plain import from_data, tidied, to_data
from shoritui.errors import UserError
from shoritui.folders import bundled_dir, config_dir, user_path
from shoritui.text import one_line
from shoritui.toml import (
    Sheet,
    file_error,
    files_named,
    load_all,
    nearest,
    parse_text,
    problems,
    read_text,
    toml_files,
)

KIND: Final = "card"
_OF_OTHERS: Final = {".png", ".apng", ".jpg", ".jpeg", ".webp", ".json", ".charx", ".yaml", ".yml"}


def load_card(path: str | os.PathLike[str]) -> Card:
    """Return the card in one file; `UserError` names file, line, field and what was expected."""
    path = user_path(path)
    return parse_card(path, _text_of(path))


def load_cards(paths: Iterable[str | os.PathLike[str]]) -> Card:
    """Return one card from several files; a folder stands for the `.toml` files in it.

    The first title, scenario and instruction win, the first `user = true`, and the first words
    about a card; everything else is joined in order. An opening may be spoken by a character of
    another of the files.
    `UserError` if a file is not right, or two of them have a character of the same name.
    """
    files = [file for path in paths for file in _files(user_path(path))]
    sheets = [_read(file) for file in {file.resolve(): file for file in files}.values()]
    if not sheets:
        raise UserError("No card was named, and a scene needs at least one.")
    _check_together(sheets)
    cards = [_card_of(sheet) for sheet in sheets]
    if len(cards) > 1:
        cards = list(map(_of_its_own, cards))
    characters = [character for card in cards for character in card.characters]
    user = next((character.name for character in characters if character.user), None)
    return Card(
        title=_first(card.title for card in cards),
        tags=tuple(dict.fromkeys(tag for card in cards for tag in card.tags)),
        scenario=_first(card.scenario for card in cards),
        instruction=_first(card.instruction for card in cards),
        creator=_first(card.creator for card in cards),
        creator_notes=_first(card.creator_notes for card in cards),
        card_version=_first(card.card_version for card in cards),
        labels=tuple(dict.fromkeys(label for card in cards for label in card.labels)),
        characters=tuple(replace(each, user=each.name == user) for each in characters),
        lore=tuple(entry for card in cards for entry in card.lore),
        notes=tuple(note for card in cards for note in card.notes),
        messages=tuple(message for card in cards for message in card.messages),
        source=", ".join(card.source for card in cards),
    )


def _of_its_own(card: Card) -> Card:
    """Name the card's own character wherever it says `{{char}}` of the scene.

    In the joint card that would be the first character of all.
    """
    name = next((each.name for each in card.characters if not each.user), "")
    if not name:
        return card

    def of(text: str) -> str:
        return of_character(text, name)

    return replace(
        card,
        title=of(card.title),
        tags=tuple(map(of, card.tags)),
        scenario=of(card.scenario),
        instruction=of(card.instruction),
        lore=tuple(
            replace(
                piece,
                text=of(piece.text),
                keys=tuple(map(of, piece.keys)),
                secondary_keys=tuple(map(of, piece.secondary_keys)),
            )
            for piece in card.lore
        ),
        notes=tuple(
            note if note.character else replace(note, text=of(note.text)) for note in card.notes
        ),
    )


def _first(texts: Iterable[str]) -> str:
    return next(filter(None, texts), "")


def reload_card(card: Card) -> Card | None:
    """Return a card as its files hold it now; None if they are gone, or one is not right."""
    files = [Path(source) for source in card.source.split(", ")]
    if not card.source or not all(file.is_file() for file in files):
        return None
    try:
        return load_cards(files)
    except UserError:
        return None


def find_cards(
    folders: Iterable[str | os.PathLike[str]],
) -> tuple[list[tuple[Path, Card]], list[str]]:
    """Return the cards of these folders (or files) by file name, and one sentence per bad file."""
    return load_all(map(user_path, folders), load_card)


def lore_folder() -> Path:
    """Return where the user's lorebooks lie."""
    return config_dir() / "lore"


def find_lorebooks() -> tuple[list[tuple[Path, Card]], list[str]]:
    """Return the user's lorebooks by file name, and one sentence per bad file."""
    return load_all([lore_folder()], load_lorebook)


def load_lorebook(path: str | os.PathLike[str]) -> Card:
    """Return a file of lore, which is a card that needs no cast; `UserError` if it has no lore."""
    book = read_card(path)
    if not book.lore:
        raise file_error(Path(book.source), "there is no [[lore]] in this lorebook")
    return book


def read_card(path: str | os.PathLike[str]) -> Card:
    """Return what one file of a scene holds, which need not have a cast; else as `load_card`."""
    return _card_of(_read(user_path(path)))


def with_lore(card: Card, book: Card) -> Card:
    """Return a card with the lore of a book; what it holds already it does not get again."""
    known = set(card.lore)
    return replace(card, lore=(*card.lore, *(each for each in book.lore if each not in known)))


def check_card(card: Card, *, cast: bool = True) -> Card:
    """Return the card without blank space around its texts, if a file may hold it.

    Without `cast`, nobody need be in it, as in a scene that is still growing.

    Raises:
        UserError: One sentence: the field, and what was expected.
    """
    data = to_data(card)
    problem = next(problems(data, FIELDS), None)
    if cast and problem is None:
        problem = next(cast_problems(data), None)
    if problem:
        raise UserError(one_line(problem.sentence))
    return tidied(card)


def parse_card(path: Path, text: str, *, cast: bool = True) -> Card:
    """Return the card of a file's text; `path` is only named in errors, `cast` as above."""
    sheet = _parse(path, text)
    if cast:
        sheet.raise_first(cast_problems(sheet.data))
    return _card_of(sheet)


def _read(path: Path) -> Sheet:
    return _parse(path, _text_of(path))


def _text_of(path: Path) -> str:
    with _hint(path):
        return read_text(path, KIND)


@contextmanager
def _hint(path: Path) -> Iterator[None]:
    """Say of a file that may be another program's card what makes one of ours of it."""
    try:
        yield
    except UserError as error:
        if path.suffix.lower() in _OF_OTHERS and path.is_file():
            raise UserError(f"{error}: `shoritui import` makes one of it") from None
        raise


def _parse(path: Path, text: str) -> Sheet:
    if not text.strip():
        raise file_error(path, "line 1: the file is empty; a scene needs a [[character]]")
    with _hint(path):
        sheet = parse_text(path, text, KIND)
    sheet.raise_first(problems(sheet.data, FIELDS))
    return sheet


def _card_of(sheet: Sheet) -> Card:
    """Return what the file holds, without the blank space around its texts."""
    return tidied(from_data(sheet.data, source=str(sheet.path)))


def _check_together(sheets: list[Sheet]) -> None:
    """Raise what `cast_problems` finds when all the files make one cast."""
    for sheet in sheets:
        elsewhere = {
            row["name"]: str(other.path)
            for other in sheets
            if other is not sheet
            for row in other.data.get("character", [])
        }
        sheet.raise_first(cast_problems(sheet.data, elsewhere))


def _files(place: Path) -> list[Path]:
    files = toml_files(place)
    if not files:
        raise file_error(place, "there is no .toml file in this folder")
    return files


def card_folders() -> tuple[Path, Path]:
    """Return where cards are found by name: the user's own first, then those that ship."""
    return config_dir() / "characters", bundled_dir("characters")


def card_files(names: Sequence[Path]) -> list[Path]:
    """Return the files of paths or known cards' names; `UserError` if there is no such card."""
    return list(map(_card_file, names))


def _card_file(name: Path) -> Path:
    if name.exists() or len(name.parts) > 1:
        return name
    folders = [folder for folder in (*card_folders(), lore_folder()) if folder.is_dir()]
    if files := files_named(str(name), folders):
        return files[0]
    is_file = name.suffix.lower() == ".toml"
    places = [*([Path()] if is_file else []), *folders]
    known = [file for place in places for file in toml_files(place)]
    names = dict.fromkeys(file.name if is_file else file.stem for file in known)
    guess = nearest(str(name), names, "there are")
    raise UserError(one_line(f'there is no card or scene "{name}"{guess}'))
