"""Character cards and lorebooks of other programs, made our own cards.

import_card(Path("seraphina.png"))      ImportedCard(path=.../characters/seraphina.toml, ...)
import_card(Path("ferry.json"))         None: it is a chat

What has no place in a card is named, and the whole JSON is kept beside the new file.
"""

from __future__ import annotations

from shoritui.interop.cards.import_card import ImportedCard, import_card

__all__ = ["ImportedCard", "import_card"]
