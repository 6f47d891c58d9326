"""Cards: characters, scenes and lore as TOML files that people write."""

from __future__ import annotations

from shoritui.cards.beside import ARCHIVE_SUFFIX, JSON_SUFFIX, archive_of, copy_beside, foreign_card
from shoritui.cards.decorators import decorated, unfollowed
from shoritui.cards.examples import conversations
from shoritui.cards.fields import reference
from shoritui.cards.load import (
    card_files,
    card_folders,
    check_card,
    find_cards,
    find_lorebooks,
    load_card,
    load_cards,
    load_lorebook,
    lore_folder,
    reload_card,
    with_lore,
)
from shoritui.cards.macros import Scope, begins_macro, has_macros, left_out, settle, with_original
from shoritui.cards.model import Card, Character, Lore, Note, Opening
from shoritui.cards.pattern import Pattern, key_pattern
from shoritui.cards.personas import (
    Persona,
    delete_persona,
    find_personas,
    keep_persona,
    persona_folder,
    persona_named,
    played_by,
    restore_persona,
)
from shoritui.cards.pictures import PICTURE_SUFFIXES, picture_of, pictures_of
from shoritui.cards.plain import (
    card_from_json,
    card_to_json,
    cast_from_json,
    differences,
    fingerprint,
)
from shoritui.cards.save import add_card, save_card
from shoritui.cards.settled import as_written, macro_problems, settle_card

__all__ = [
    "ARCHIVE_SUFFIX",
    "JSON_SUFFIX",
    "PICTURE_SUFFIXES",
    "Card",
    "Character",
    "Lore",
    "Note",
    "Opening",
    "Pattern",
    "Persona",
    "Scope",
    "add_card",
    "archive_of",
    "as_written",
    "begins_macro",
    "card_files",
    "card_folders",
    "card_from_json",
    "card_to_json",
    "cast_from_json",
    "check_card",
    "conversations",
    "copy_beside",
    "decorated",
    "delete_persona",
    "differences",
    "find_cards",
    "find_lorebooks",
    "find_personas",
    "fingerprint",
    "foreign_card",
    "has_macros",
    "keep_persona",
    "key_pattern",
    "left_out",
    "load_card",
    "load_cards",
    "load_lorebook",
    "lore_folder",
    "macro_problems",
    "persona_folder",
    "persona_named",
    "picture_of",
    "pictures_of",
    "played_by",
    "reference",
    "reload_card",
    "restore_persona",
    "save_card",
    "settle",
    "settle_card",
    "unfollowed",
    "with_lore",
    "with_original",
]
