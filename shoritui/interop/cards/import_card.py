"""Take a card or a lorebook in from a file, which is recognised by what it holds."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shoritui.cards import Card, add_card, card_folders, lore_folder
from shoritui.errors import UserError
from shoritui.files import add_text, why
from shoritui.folders import user_path
from shoritui.interop.cards.character import card_of, is_card
from shoritui.interop.cards.lore import lore_of
from shoritui.interop.cards.png import LARGEST, SIGNATURE, card_in
from shoritui.interop.cards.values import Values, name_of, text_of, values_of
from shoritui.text import clean, one_line, printable, size

_LARGEST_PICTURE: Final = 64 << 20
"""Bytes of a picture with a card."""
_MOST_NAMED: Final = 12


@dataclass(frozen=True, slots=True)
class ImportedCard:
    """What a file became."""

    path: Path
    """The new card or lorebook."""
    card: Card
    left: tuple[str, ...]
    """What has no place in it, in words; it is in the JSON file beside it."""

    @property
    def sentences(self) -> str:
        """What became of it, for people."""
        count = len(self.card.lore)
        lore = "1 piece of lore" if count == 1 else f"{count:,} pieces of lore"
        names = [one_line(each.name) for each in self.card.characters] + [lore] * (count > 0)
        said = f"{' and '.join(names)}: {printable(self.path)}."
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
    try:
        text = _text_of(user_path(path))
    except OSError:
        return None  # who reads it as a chat says why
    except UserError as error:
        raise _refused(path, error) from None
    found = _object(text)
    try:
        if found is None:
            return None
        if "format" not in found and (is_lore := _is_lore(found)):
            card, left, name = _lorebook(found, path.stem)
        elif "format" not in found and is_card(found):
            is_lore = False
            card, left = card_of(found)
            name = card.characters[0].name
        else:
            return None
        folder = lore_folder() if is_lore else card_folders()[0]
        written = add_card(folder, name, card, cast=not is_lore)
    except UserError as error:
        raise _refused(path, error) from None
    try:
        add_text(written.with_suffix(".json"), text)
    except OSError as error:
        raise UserError(
            f"{printable(written)} was written, but not the JSON beside it: {why(error)}."
        ) from None
    return ImportedCard(written, card, left)


def _text_of(path: Path) -> str:
    """Return the JSON in a file or its picture; nothing if it is too large for a card's."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return ""
    with path.open("rb") as file:
        content = file.read(len(SIGNATURE))
        if content == SIGNATURE:
            if status.st_size > _LARGEST_PICTURE:
                raise UserError(f"a picture with a card has at most {size(_LARGEST_PICTURE)}")
            content = card_in(content + file.read(_LARGEST_PICTURE))
            text = _utf8(content)
            if not is_card(_object(text) or {}):
                raise UserError("what stands in the picture as a card is none")
            return text
        if status.st_size > LARGEST:
            return ""
        content += file.read(LARGEST)
    return _utf8(content)


def _utf8(content: bytes) -> str:
    return content.decode("utf-8-sig", "replace")


def _object(text: str) -> Values | None:
    if text.lstrip()[:1] != "{":
        return None
    try:
        return values_of(json.loads(text)) or None
    except (ValueError, RecursionError):
        return None


def _is_lore(found: Values) -> bool:
    if found.get("spec") == "lorebook_v3":
        return True
    entries = found.get("entries")
    rows = list(entries.values()) if isinstance(entries, dict) else entries
    return isinstance(rows, list) and any("content" in values_of(row) for row in rows)


def _lorebook(found: Values, stem: str) -> tuple[Card, tuple[str, ...], str]:
    book = values_of(found.get("data")) if found.get("spec") == "lorebook_v3" else found
    lore, left = lore_of(book)
    if not lore:
        raise UserError("no piece of lore in it has a text")
    return Card(lore=lore), left, name_of(text_of(book.get("name"))) or stem


def _refused(path: Path, error: UserError) -> UserError:
    reason = clean(str(error)).rstrip(".")
    return UserError(f"{printable(path)} was not imported: {reason}.")
