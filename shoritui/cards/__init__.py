"""Cards: characters, scenes and lore as TOML files that people write.

It does not know chats, prompts or screens.
"""

from __future__ import annotations

from shoritui.cards.fields import reference
from shoritui.cards.load import check_card, find_cards, load_card, load_cards
from shoritui.cards.model import Card, Character, Lore, Opening
from shoritui.cards.plain import card_from_json, card_to_json
from shoritui.cards.save import save_card

__all__ = [
    "Card",
    "Character",
    "Lore",
    "Opening",
    "card_from_json",
    "card_to_json",
    "check_card",
    "find_cards",
    "load_card",
    "load_cards",
    "reference",
    "save_card",
]
