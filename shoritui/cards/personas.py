"""Personas: who the user may be, each a card file of one character in the folder `personas`.

What is deleted lies in the folder `bin` below it, until it is taken out again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from shoritui.cards.load import load_card
from shoritui.cards.model import Card, Character
from shoritui.cards.save import add_card, save_card
from shoritui.errors import UserError
from shoritui.files import add_text, why
from shoritui.folders import config_dir
from shoritui.names import fold
from shoritui.text import one_line
from shoritui.toml import file_error, load_all, nearest, read_text

_KIND: Final = "persona"


@dataclass(frozen=True, slots=True)
class Persona:
    """One of those the user may be, and the file that says so."""

    path: Path
    character: Character


def persona_folder() -> Path:
    """Return where the user's personas lie."""
    return config_dir() / "personas"


def find_personas(*, deleted: bool = False) -> tuple[list[Persona], list[str]]:
    """Return the personas (or those in the bin) by file name, and one sentence per bad file."""
    folder = persona_folder() / "bin" if deleted else persona_folder()
    found, problems = load_all([folder], load_card)
    return [Persona(path, _own(card)) for path, card in found], problems


def persona_named(name: str) -> Persona:
    """Return the persona of a name or an alias.

    Raises:
        UserError: There is none, or its file cannot be read.
    """
    personas, problems = find_personas()
    known = {fold(alias): each for each in personas for alias in each.character.aliases}
    known |= {fold(each.character.name): each for each in reversed(personas)}
    if (found := known.get(fold(name))) is not None:
        return found
    if problems:
        raise UserError(one_line(f'there is no persona "{name}" that can be read: {problems[0]}'))
    names = [each.character.name for each in personas]
    raise UserError(one_line(f'there is no persona "{name}"{nearest(name, names, "there are")}'))


def keep_persona(character: Character, path: Path | None = None) -> Persona:
    """Write a persona into its file, or a new one, and return it.

    Raises:
        UserError: It is not right, another one has its name, or the file cannot be written.
    """
    character = replace(character, user=True)
    others = (each for each in find_personas()[0] if each.path != path)
    if any(fold(each.character.name) == fold(character.name) for each in others):
        raise UserError(f"There is a persona named {one_line(character.name)} already.")
    if path is None:
        path = add_card(persona_folder(), character.name, Card(characters=(character,)))
        return Persona(path, character)
    card = load_card(path)
    own = _own(card)
    cast = tuple(character if each == own else each for each in card.characters)
    save_card(path, replace(card, characters=cast))
    return Persona(path, character)


def delete_persona(persona: Persona) -> Persona:
    """Put a persona's file into the bin, and return it there; `UserError` if it cannot be moved."""
    return _moved(persona, persona_folder() / "bin")


def restore_persona(persona: Persona) -> Persona:
    """Take a persona's file out of the bin; `UserError` if it cannot be moved."""
    return _moved(persona, persona_folder())


def _moved(persona: Persona, folder: Path) -> Persona:
    """Move a file into a folder, where nothing is written over."""
    path = persona.path
    try:
        moved = add_text(folder / path.name, read_text(path, _KIND))
        path.unlink()
    except OSError as error:
        raise file_error(path, f"the file cannot be moved ({why(error)})") from error
    return replace(persona, path=moved)


def played_by(card: Card, persona: Character) -> Card:
    """Return the scene with a persona in it as the user, unless the card says who the user is.

    A character of the same name is the persona.
    """
    if any(each.user for each in card.characters):
        return card
    cast = tuple(
        replace(each, user=True) if fold(each.name) == fold(persona.name) else each
        for each in card.characters
    )
    if cast == card.characters:
        cast = (*cast, replace(persona, user=True))
    return replace(card, characters=cast)


def _own(card: Card) -> Character:
    """Return the character of a persona's file."""
    return next((each for each in card.characters if each.user), card.characters[0])
