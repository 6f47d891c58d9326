"""The cards of a chat, which SillyTavern keeps in other files than the chat.

characters/Orla.png
chats/Orla/2024-10-18.jsonl            a story with Orla's card
group chats/1700000001.jsonl           a story with the cards of all its members
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from shoritui.bounded import read_json
from shoritui.cards import (
    Card,
    Character,
    find_personas,
    fingerprint,
    load_card,
    settle_card,
)
from shoritui.errors import UserError
from shoritui.files import content_of
from shoritui.interop.folders.journal import Journal
from shoritui.interop.sillytavern import group_of_sillytavern
from shoritui.names import fold
from shoritui.story import WholeChat
from shoritui.text import printable

_LARGEST_GROUP: Final = 4 << 20
"""Bytes."""


def is_group(path: Path) -> bool:
    """Return whether a file is what SillyTavern keeps of a group."""
    if path.suffix.lower() != ".json":
        return False
    try:
        if path.stat().st_size > _LARGEST_GROUP:
            return False
        found = read_json(content_of(path).decode("utf-8-sig", "replace"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and group_of_sillytavern(found) is not None


class Cards:
    """The cards that were imported, now or before, for the chats that belong to them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._read: dict[Path, Card | None] = {}
        self._named: dict[Path, dict[str, list[Card]]] = {}
        self._personas: dict[str, Character] | None = None

    def told(self, whole: WholeChat, path: Path, tell: Callable[[str], object]) -> WholeChat:
        """Return the chat of a file with the scene of its cards, unless it has one of its own.

        `tell` is told in a sentence whose card is missing.
        """
        folder, scene = path.absolute().parent, whole.chat.scene
        if any(each.description for each in scene.characters):
            return whole
        others = [each.name for each in scene.characters if not each.user]
        if folder.name == "group chats":
            root, wanted = folder.parent, {name: [name] for name in others}
        elif folder.parent.name == "chats":
            # The folder is called as the card's file was once, which may be called otherwise now.
            root, wanted = folder.parent.parent, {folder.name: [folder.name, *others]}
        else:
            return whole
        characters = root / "characters"
        cards: dict[str, Card] = {}
        for file, names in wanted.items():
            try:
                if card := self._of_file(characters, file) or self._called(characters, names):
                    cards[file] = card
                else:
                    tell(f"no card of {printable(file, 60)} is in `characters`")
            except UserError as error:
                tell(str(error))
        return _with_cards(whole, cards, self._persona(whole.chat.user)) if cards else whole

    def _of_file(self, folder: Path, name: str) -> Card | None:
        """Return our card of one of their files; None if it was not imported."""
        return self._card(folder / f"{name}.png") if Path(name).name == name else None

    def _called(self, folder: Path, names: Sequence[str]) -> Card | None:
        """Return the card of the first of some names that a card in a folder has.

        Raises:
            UserError: Several cards have it.
        """
        if folder not in self._named:
            named = self._named[folder] = defaultdict(list)
            for source in self._journal.sources_in(folder):
                card = self._card(source)
                for each in card.characters if card is not None else ():
                    if card is not None and not each.user:
                        named[fold(each.name)].append(card)
        for name in names:
            if found := self._named[folder].get(fold(name)):
                if len(found) > 1:
                    raise UserError(
                        f"{len(found)} cards are called {printable(name, 60)}, so it has none"
                    )
                return found[0]
        return None

    def _persona(self, name: str) -> str:
        """Return what one of the user's personas says of itself; nothing if there is none."""
        if self._personas is None:
            found, _ = find_personas()
            self._personas = {fold(each.character.name): each.character for each in found}
        persona = self._personas.get(fold(name))
        return persona.description if persona is not None else ""

    def _card(self, source: Path) -> Card | None:
        """Return our card of one of theirs; None if it was not imported."""
        if source not in self._read:
            path = self._journal.made_of(source)
            try:
                self._read[source] = load_card(path) if path is not None else None
            except UserError:
                self._read[source] = None
        return self._read[source]


def _with_cards(whole: WholeChat, cards: dict[str, Card], persona: str) -> WholeChat:
    """Return a chat with the scene of some cards, by the names of their files.

    `persona` is what is said of the user.
    """
    chat = whole.chat
    known: dict[str, Character] = {}
    for file, card in cards.items():
        for character in card.characters:
            for name in (character.name, *character.aliases, file):
                known.setdefault(fold(name), character)
    speakers = {entry.speaker for entry in whole.entries}
    cast: dict[str, Character] = {}
    for each in chat.scene.characters:
        theirs = known.get(fold(each.name))
        if theirs is None or each.user:
            described = replace(each, description=persona) if each.name == chat.user else each
            cast.setdefault(each.name, described)
            continue
        # It is called by what stands before its messages, however its card's file is called.
        name = each.name if each.name in speakers else theirs.name
        aliases = dict.fromkeys((theirs.name, *theirs.aliases))
        others = tuple(alias for alias in aliases if fold(alias) != fold(name))
        speaks = each.speaks if each.speaks != "freely" else theirs.speaks
        cast.setdefault(name, replace(theirs, name=name, aliases=others, speaks=speaks))
    told = {known[fold(name)] for name in cast if fold(name) in known}
    for silent in known.values():
        if silent not in told:
            cast.setdefault(silent.name, silent)
    everybody = sorted(cast.values(), key=lambda each: each.user)  # the user is last

    def settled(card: Card) -> Card:
        """Settle the macros of a card while it is known whose they are."""
        names = {fold(each.name) for each in card.characters}
        own = [e for e in everybody if not e.user and names & set(map(fold, (e.name, *e.aliases)))]
        others = [each for each in everybody if each not in own]
        return settle_card(replace(card, characters=(*own, *others)), chat.user, chat.created)

    apart = list(map(settled, cards.values()))
    scenarios = dict.fromkeys(card.scenario for card in apart if card.scenario)
    lore = [piece for card in apart for piece in card.lore]
    base = apart[0] if len(apart) == 1 else Card()
    scene = replace(
        base,
        tags=chat.scene.tags or base.tags,
        scenario=chat.scene.scenario or "\n\n".join(scenarios),
        characters=tuple(everybody),
        lore=tuple(dict.fromkeys((*chat.scene.lore, *lore))),
    )
    settings = dict(chat.settings)
    if len(cards) == 1:
        settings["card"] = fingerprint(next(iter(cards.values())))
    scene = settle_card(scene, chat.user, chat.created)
    return replace(whole, chat=replace(chat, scene=scene, settings=settings))
