"""Character cards and lorebooks of other programs, made our own cards, and ours made theirs.

import_card(Path("seraphina.png"))      ImportedCard(path=.../characters/seraphina.toml, ...)
import_card(Path("ferry.json"))         None: it is a chat
export_card(whole_card(path), "png", Path("out"))     ExportedCards(paths=(out/Seraphina.png,), ...)
export_lore(lore_named(Path("eldoria")), "risu", Path("."))       Path("eldoria.json")

What has no place in a card is named, and the whole JSON is kept beside the new file; when the card
goes out again, what nobody changed here goes out as it came.
"""

from __future__ import annotations

from shoritui.interop.cards.export_card import (
    CARD_FORMATS,
    ExportedCards,
    beside,
    export_card,
    whole_card,
)
from shoritui.interop.cards.export_lore import (
    LoreSource,
    export_lore,
    lore_in_story,
    lore_named,
)
from shoritui.interop.cards.import_card import ImportedCard, import_card
from shoritui.interop.cards.lore import FORMATS as LORE_FORMATS

__all__ = [
    "CARD_FORMATS",
    "LORE_FORMATS",
    "ExportedCards",
    "ImportedCard",
    "LoreSource",
    "beside",
    "export_card",
    "export_lore",
    "import_card",
    "lore_in_story",
    "lore_named",
    "whole_card",
]
