"""What a card holds: characters, lore, an opening and the scene they stand in.

It does not know TOML, files or how any of this becomes a prompt.
"""

from __future__ import annotations

from dataclasses import dataclass

from shoritui.blockml import Length


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """One participant; the user's own character is one like any other."""

    name: str
    """The label before the colon in messages."""
    aliases: tuple[str, ...] = ()
    """Other names people call this character by."""
    description: str = ""
    """The character card's text; empty leaves the character undescribed."""
    user: bool = False
    """True for the character the user speaks as by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lore:
    """One piece of background."""

    name: str
    text: str
    keys: tuple[str, ...] = ()
    """Words that bring the text into the prompt; none keeps it there always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One message that stands before the story begins."""

    speaker: str
    text: str
    length: Length | None = None
    """The length hint; None lets the text's own tokens decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Everything a chat can be started from; every part may be missing."""

    title: str = ""
    tags: tuple[str, ...] = ()
    scenario: str = ""
    """What must still happen."""
    characters: tuple[Character, ...] = ()
    lore: tuple[Lore, ...] = ()
    messages: tuple[Opening, ...] = ()
    """The opening, in order."""
    source: str = ""
    """The file it came from, for showing; several are joined by commas."""
