"""Take a card or a lorebook in from a file, which is recognised by what it holds."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shoritui.cards import (
    ARCHIVE_SUFFIX,
    JSON_SUFFIX,
    Card,
    add_card,
    archive_of,
    card_folders,
    foreign_card,
    lore_folder,
    picture_of,
)
from shoritui.errors import UserError
from shoritui.files import add_file, add_text, all_or_none, why
from shoritui.folders import user_path
from shoritui.interop.cards.character import MOST_ROWS, card_of, is_card
from shoritui.interop.cards.containers import Found, listed, read
from shoritui.interop.cards.lore import Kept, book_in, left_in
from shoritui.interop.cards.values import name_of
from shoritui.text import clean, encodable, one_line, printable

_MOST_NAMED: Final = 12


@dataclass(frozen=True, slots=True)
class ImportedCard:
    """What a file became."""

    path: Path
    """The new card or lorebook."""
    card: Card
    left: tuple[str, ...]
    """What has no place in it, in words; it is in the files beside it."""
    trouble: str = ""
    """A sentence on what could not be kept; empty if everything could."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The card, and what lies beside it and belongs to it."""
        beside = (foreign_card(self.path), archive_of(self.path), picture_of(self.path))
        return (self.path, *filter(None, beside))

    @property
    def sentences(self) -> str:
        """What became of it, for people."""
        count = len(self.card.lore)
        lore = "1 piece of lore" if count == 1 else f"{count:,} pieces of lore"
        names = [one_line(each.name) for each in self.card.characters] + [lore] * (count > 0)
        said = f"{' and '.join(names)}: {printable(self.path)}."
        said = f"{said} {self.trouble}".rstrip()
        if not self.left:
            return said
        rest = len(self.left) - _MOST_NAMED
        named = ", ".join(self.left[:_MOST_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
        return f"{said} Not used, but kept beside it: {named}."


def import_card(path: Path) -> ImportedCard | None:
    """Make a card or a lorebook of the user's own out of a file; None if it is neither.

    No file is replaced: where one of the name is there already, the new one gets a number.

    Raises:
        UserError: It should be one, but something is wrong with it; or it cannot be written.
    """
    path = user_path(path)
    try:
        found = read(path)
    except OSError:
        return None  # who reads it as a chat says why
    except UserError as error:
        raise _refused(path, error) from None
    values = found.values
    try:
        is_other = found.is_card or "format" in values
        book = None if is_other else book_in(values or listed(found.text))
        if book is not None:
            card, left, name = _lorebook(book, path.stem)
        elif "format" not in values and is_card(values):
            card, left = card_of(values)
            name = card.characters[0].name
        elif found.is_card:
            raise UserError("what stands in it as a card is none")
        else:
            return None
        folder = card_folders()[0] if book is None else lore_folder()
        with all_or_none():
            written = add_card(folder, name, card, cast=book is None)
            trouble = _keep(path, found, written)
    except UserError as error:
        raise _refused(path, error) from None
    except OSError as error:
        raise UserError(
            f"{printable(path)} was not imported: what belongs beside its card cannot be written: "
            f"{why(error)}."
        ) from None
    return ImportedCard(written, card, left, trouble)


def _keep(path: Path, found: Found, card: Path) -> str:
    """Write what belongs beside a card, and return a sentence on what could not be kept."""
    add_text(card.with_suffix(JSON_SUFFIX), encodable(found.text))
    if found.has_archive:
        add_file(card.with_suffix(ARCHIVE_SUFFIX), lambda new: shutil.copyfile(path, new))
    try:
        picture = found.png()
    except UserError as error:
        return f"Its picture was not kept: {error}."
    if picture:
        add_file(card.with_suffix(".png"), lambda new: new.write_bytes(picture))
    return ""


def _lorebook(book: Kept, stem: str) -> tuple[Card, tuple[str, ...], str]:
    if not book.lore:
        raise UserError("no piece of lore in it has a text")
    if len(book.lore) > MOST_ROWS:
        raise UserError(f"it has more than {MOST_ROWS:,} pieces of lore")
    name = name_of(book.name) or stem
    # Cards and chats of SillyTavern name a lorebook as its file is called.
    title = one_line(stem if book.form.name == "sillytavern" else name)
    return Card(title=title, lore=book.lore), left_in(book), name


def _refused(path: Path, error: UserError) -> UserError:
    reason = clean(str(error)).rstrip(".")
    return UserError(f"{printable(path)} was not imported: {reason}.")
