"""Character cards and lorebooks of other programs, made our own cards, and ours made theirs.

import_card(Path("seraphina.png"))      ImportedCard(path=.../characters/seraphina.toml, ...)
import_card(Path("ferry.json"))         None: it is a chat
export_card(whole_card(path), "png", Path("out"))     ExportedCards(paths=(out/Seraphina.png,), ...)

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
from shoritui.interop.cards.import_card import ImportedCard, import_card

__all__ = [
    "CARD_FORMATS",
    "ExportedCards",
    "ImportedCard",
    "beside",
    "export_card",
    "import_card",
    "whole_card",
]
