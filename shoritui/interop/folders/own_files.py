"""Files of our own from elsewhere, and the personas in SillyTavern's settings.

ShoriTUI/characters/orla.toml, orla.json, orla.png       the card, with what lies beside it
default-user/settings.json                               the personas, by the names of pictures
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shoritui.bounded import read_json
from shoritui.cards import (
    Character,
    archive_of,
    card_folders,
    copy_beside,
    find_personas,
    foreign_card,
    keep_persona,
    lore_folder,
    persona_folder,
    picture_of,
)
from shoritui.cards.load import read_card
from shoritui.errors import UserError
from shoritui.files import add_text, content_of, why
from shoritui.interop.cards.values import name_of, text_of, values_of
from shoritui.names import fold
from shoritui.text import as_json, counted, printable
from shoritui.toml import read_sheet, read_text

_LARGEST: Final = 16 << 20
"""Bytes of SillyTavern's settings."""
_MOST_PERSONAS: Final = 1000


@dataclass(frozen=True, slots=True)
class Copied:
    """What a file has become."""

    path: Path
    files: tuple[Path, ...]
    sentences: str
    left: tuple[str, ...] = ()
    kind: str = ""


def import_own(path: Path) -> Copied | None:
    """Copy a card, lorebook or persona of our own, with what lies beside it; None if it is none.

    No file is replaced: where one of the name is there already, the new one gets a number.

    Raises:
        UserError: It should be one, but is not right, or cannot be written.
    """
    if path.suffix.lower() != ".toml" or not _is_card(path):
        return None
    card = read_card(path)
    if card.characters:
        is_persona = path.absolute().parent.name == persona_folder().name
        folder = persona_folder() if is_persona else card_folders()[0]
    elif card.lore:
        folder = lore_folder()
    else:
        return None
    try:
        new = add_text(folder / path.name, read_text(path, "card"))
        copy_beside(path, new)
    except OSError as error:
        raise UserError(f"{printable(folder)} cannot be written: {why(error)}.") from None
    beside = filter(None, (foreign_card(new), archive_of(new), picture_of(new)))
    return Copied(new, (new, *beside), f"{printable(path.stem)}: {printable(new)}.")


def import_personas(path: Path) -> Copied | None:
    """Make personas of those in SillyTavern's settings, or in a backup of them, as it makes one.

    None if the file is another one.

    Raises:
        UserError: All of them are here already, or one cannot be written.
    """
    if path.suffix.lower() != ".json" or path.stat().st_size > _LARGEST:
        return None
    found = values_of(_parsed(path))
    power_user = found if "persona_descriptions" in found else values_of(found.get("power_user"))
    named = values_of(power_user.get("personas"))
    told = values_of(power_user.get("persona_descriptions"))
    if not named:
        return None
    known = {fold(each.character.name) for each in find_personas()[0]}
    files: list[Path] = []
    names: list[str] = []
    for picture, written in list(named.items())[:_MOST_PERSONAS]:
        name = name_of(written)
        if not name or fold(name) in known:
            continue
        known.add(fold(name))
        description = told.get(picture)
        text = text_of(values_of(description).get("description", description))
        files.append(keep_persona(Character(name=name, description=text)).path)
        names.append(name)
    if not files:
        raise UserError("its personas are here already")
    said = f"{counted(len(names), 'persona')}: {', '.join(names)}."
    return Copied(files[0], tuple(files), said)


def write_personas(personas: Sequence[Character], folder: Path) -> Path:
    """Write personas as a backup of SillyTavern's, which its persona management restores.

    Raises:
        OSError: It cannot be written.
    """
    files = {f"{number}.png": each for number, each in enumerate(personas, 1)}
    found = {
        "personas": {file: each.name for file, each in files.items()},
        "persona_descriptions": {
            file: {"description": each.description, "position": 0} for file, each in files.items()
        },
        "default_persona": None,
    }
    return add_text(folder / "personas.json", as_json(found, 4))


def _is_card(path: Path) -> bool:
    """Return whether a TOML file is meant to be one of ours."""
    try:
        found = read_sheet(path, "card").data
    except UserError:
        return False
    return any(isinstance(found.get(name), list) for name in ("character", "lore"))


def _parsed(path: Path) -> Any:
    try:
        return read_json(content_of(path).decode("utf-8-sig", "replace"))
    except ValueError:
        return None
