"""Write lore as a lorebook for other programs, with all that the books it came from had beside.

What another program wrote lies as JSON beside our card or lorebook; its entries are known again by
what they say, so that a piece changed here changes there, and nothing else does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shoritui.cards import Card, Lore, card_files, foreign_card, lore_folder
from shoritui.cards.load import read_card
from shoritui.errors import UserError
from shoritui.files import add_text, why
from shoritui.folders import user_path
from shoritui.interop.cards.containers import listed, read
from shoritui.interop.cards.lore import BOOK, FORMATS, Kept, book_in, kept_of, written
from shoritui.interop.cards.values import values_of
from shoritui.text import as_json, is_visible, one_line, printable
from shoritui.toml import toml_files

_LONGEST_NAME: Final = 60
"""Letters of a name in a file's name."""


@dataclass(frozen=True, slots=True)
class LoreSource:
    """Lore that can be written."""

    name: str
    lore: tuple[Lore, ...]
    kept: tuple[Kept, ...]
    """The books of other programs that it came from."""


def lore_named(name: Path) -> LoreSource:
    """Return the lore of a lorebook or a card: a known name, a file of ours, or of another program.

    Raises:
        UserError: There is none of that name, it cannot be read, or it has no lore.
    """
    [path] = map(user_path, card_files([name]))
    if path.suffix.lower() == ".toml":
        card = read_card(path)
        is_book = not card.characters and is_visible(card.title)
        called = one_line(card.title) if is_book else path.stem
        source = LoreSource(called, card.lore, tuple(_beside(path)))
    else:
        try:
            book = _book(path)
        except OSError as error:
            raise UserError(f"{printable(path)} cannot be read: {why(error)}.") from None
        if book is None:
            raise UserError(f"{printable(path)} is neither a lorebook nor a card with lore.")
        source = LoreSource(path.stem, book.lore, (book,))
    if not source.lore:
        raise UserError(f"There is no lore in {printable(path)}.")
    return source


def lore_in_story(name: str, scene: Card, taken: Callable[[Card], Card]) -> LoreSource:
    """Return the lore of a story, with the macros that it has in its card and its lorebooks.

    Args:
        name: What the lorebook is called.
        scene: The story's scene.
        taken: Returns a book as the story would take it in, its macros settled.
    """
    files = [Path(each) for each in scene.source.split(", ") if each]
    files += [path for path in toml_files(lore_folder()) if path not in files]
    kept: list[Kept] = []
    lore = scene.lore
    for path in files:
        try:
            book = Card(lore=read_card(path).lore)
        except UserError:
            continue
        settled = dict(zip(taken(book).lore, book.lore, strict=True))
        if not any(piece in settled for piece in scene.lore):
            continue
        lore = tuple(settled.get(piece, piece) for piece in lore)
        kept += _beside(path)
    return LoreSource(name, lore, tuple(kept))


def export_lore(source: LoreSource, form: str, to: Path) -> Path:
    """Write lore as a new file in one of `FORMATS`, and return the file.

    Args:
        source: The lore.
        form: The format's name.
        to: The file, or a folder. One that is there already stays: the new one gets a number.

    Raises:
        UserError: There is no such format or no lore, or the file cannot be written.
    """
    if form not in FORMATS:
        raise UserError(f"There is no format {printable(form)}: choose {', '.join(FORMATS)}.")
    if not source.lore:
        raise UserError("There is no lore to export.")
    path = user_path(to)
    if path.is_dir():
        words = "-".join(re.findall(r"\w+", source.name))
        path /= f"{words[:_LONGEST_NAME].strip('-_') or 'lore'}.json"
    try:
        book = written(source.lore, FORMATS[form], *source.kept, name=source.name)
        return add_text(path, as_json(book))
    except RecursionError:
        raise UserError(
            f"{printable(path)} was not written: its JSON is nested too deep."
        ) from None
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be written: {why(error)}.") from None


def _beside(path: Path) -> Iterator[Kept]:
    """Yield the book of another program that lies beside one of our files, if there is one."""
    with suppress(OSError, UserError):
        beside = foreign_card(path)
        book = _book(beside) if beside is not None else None
        if book is not None:
            yield book


def _book(path: Path) -> Kept | None:
    """Return the book in a file of another program; None if it holds none.

    Raises:
        OSError: It cannot be read.
        UserError: It should be a card, but is damaged.
    """
    found = read(path)
    values = found.values or listed(found.text)
    if not found.is_card and (book := book_in(values)) is not None:
        return book
    for holder in (values_of(values.get("data")), values):
        if isinstance(own := holder.get("character_book"), dict):
            return kept_of(own, BOOK)
    return None
