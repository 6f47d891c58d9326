"""Lorebooks of other programs: theirs become our lore, and ours theirs.

lore_of({"entries": [...]})             the lore, and the names of what has no place in it
book_of(lore, kept)                     a card's `character_book`, with all that `kept` had
written(lore, FORMATS["risu"], kept)    a lorebook of RisuAI

Each format has a module of its own. An entry that is written again keeps every field that we do not
know, and those that we do, as long as they still say the same. What ours has and theirs has no
field for stands under `shoritui` beside it, and counts while nobody has changed that entry there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from shoritui.cards import Lore
from shoritui.interop.cards.lore.agnai import AGNAI
from shoritui.interop.cards.lore.book import Kept, kept_of, left_in, written
from shoritui.interop.cards.lore.form import Form
from shoritui.interop.cards.lore.kobold import KOBOLD
from shoritui.interop.cards.lore.novel_ai import NOVEL_AI
from shoritui.interop.cards.lore.risu import RISU
from shoritui.interop.cards.lore.world_info import BOOK, LOREBOOK_V3, WORLD_INFO
from shoritui.interop.cards.values import Values

__all__ = [
    "BOOK",
    "FORMATS",
    "Form",
    "Kept",
    "book_in",
    "book_of",
    "kept_of",
    "left_in",
    "lore_of",
    "written",
]

FORMATS: Final[dict[str, Form]] = {
    form.name: form for form in (WORLD_INFO, LOREBOOK_V3, RISU, AGNAI, KOBOLD, NOVEL_AI)
}
"""What a lorebook can be written as, by name."""


def book_in(found: Values) -> Kept | None:
    """Return the lorebook that JSON holds; None if it holds none."""
    # World info is known by little, so it comes last.
    form = next((form for form in reversed(FORMATS.values()) if form.is_book(found)), None)
    return kept_of(found, form) if form is not None else None


def lore_of(book: Values) -> tuple[tuple[Lore, ...], tuple[str, ...]]:
    """Return the lore of a card's book, and the names of what it has beside that, each once."""
    kept = kept_of(book, BOOK)
    return kept.lore, left_in(kept)


def book_of(lore: Iterable[Lore], kept: Values) -> dict[str, Any]:
    """Return lore as the `character_book` of a V2 or V3 card.

    Args:
        lore: The pieces.
        kept: The book they came from, whose other fields stay; an empty one if there is none.
    """
    return written(lore, BOOK, kept_of(kept, BOOK))
