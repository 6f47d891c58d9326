"""A card's texts with their macros settled, as a story takes them, and back as its file has them.

The same card gives the same texts for the same user and the same beginning of the story: what
`{{random}}` drew and the time that `{{time}}` told can be told again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from shoritui.cards.load import read_card
from shoritui.cards.macros import ORIGINAL, Scope, has_macros, left_out, settle
from shoritui.cards.model import Card, Character, Lore, Opening
from shoritui.cards.plain import from_data, to_data
from shoritui.errors import UserError
from shoritui.text import one_line, printable

Report: TypeAlias = Callable[[str, tuple[str, ...]], None]
"""Takes a field, and the unknown macros in it."""


def settle_card(
    card: Card, user: str, began: float, report: Report = lambda field, macros: None
) -> Card:
    """Return the card as a story takes it in; an opening of nothing but macros is left out.

    `{{char}}` is the character that a description or a message is of; elsewhere, and in what is
    the user's own, it is the first of the cast that is not the user.

    Args:
        card: The card, or a story's scene, of which only new texts still hold macros.
        user: The name the user speaks as.
        began: When the story began, in seconds since 1970.
        report: Called for each field that has unknown macros.
    """
    of = _Fields(card, user, began, report)
    notes = (
        replace(each, text=of(each.text, f"note {number}", each.character).strip())
        for number, each in enumerate(card.notes, 1)
    )
    messages = (
        of.opening(each, f"message {number}") for number, each in enumerate(card.messages, 1)
    )
    return replace(
        card,
        title=of(card.title, "the title"),
        tags=tuple(of(tag, "the tags") for tag in card.tags),
        scenario=of(card.scenario, "the scenario"),
        instruction=of.instruction(card.instruction),
        characters=tuple(map(of.character, card.characters)),
        lore=tuple(map(of.lore, card.lore)),
        notes=tuple(each for each in notes if each.text),
        messages=tuple(each for each in messages if each.text),
    )


class _Fields:
    """Settles one text of a card after the other."""

    def __init__(self, card: Card, user: str, began: float, report: Report) -> None:
        self._report = report
        self._seed = f"{began}"
        self._described = {each.name: each.description for each in card.characters}
        self._examples = {each.name: each.examples for each in card.characters}
        self._others = [name for name in self._described if name != user]
        self._texts = {"scenario": card.scenario, "persona": self._described.get(user, "")}
        self._scope = Scope(
            user=user, others=self._others, seed=self._seed, now=datetime.fromtimestamp(began)
        )

    def __call__(self, text: str, field: str, owner: str = "") -> str:
        """Return a field's text; `owner` is whom it describes, or who says it."""
        if not has_macros(text):
            return text
        char = owner if owner in self._others else next(iter(self._others), owner)
        own = {"description": self._described, "mesexamples": self._examples}
        texts = {**self._texts, **{name: own[name].get(char, "") for name in own}}
        random = Random(f"{self._seed} {field}")
        settled = settle(text, replace(self._scope, char=char, texts=texts, random=random))
        if settled.unknown:
            self._report(field, settled.unknown)
        return settled.text

    def character(self, character: Character) -> Character:
        """Return a character with the texts of whoever that is."""
        name, owner = one_line(character.name), "" if character.user else character.name
        return replace(
            character,
            description=self(character.description, f"{name}'s description", owner),
            examples=self(character.examples, f"{name}'s examples", owner),
        )

    def instruction(self, text: str) -> str:
        """Return the instruction, in which `{{original}}` stays: the settings may change."""
        parts = ORIGINAL.split(text)
        return "{{original}}".join(self(part, "the instruction") for part in parts)

    def opening(self, opening: Opening, field: str) -> Opening:
        """Return a message without the versions of which nothing is left, maybe without a text."""

        def settled(what: str, texts: Iterable[str]) -> list[str]:
            found = (
                self(text, f"{what} {number} of {field}", opening.speaker)
                for number, text in enumerate(texts, 1)
            )
            return [text for text in found if text.strip()]

        group = settled("group version", opening.group_versions)
        versions = settled("version", opening.versions)
        if (text := self(opening.text, field, opening.speaker)).strip():
            versions.insert(0, text)
        text, *versions = versions or group[:1] or [""]
        return replace(opening, text=text, versions=tuple(versions), group_versions=tuple(group))

    def lore(self, lore: Lore) -> Lore:
        """Return a piece of lore with its keys, which no model reads: none of them vanishes."""
        name = one_line(lore.name)

        def keys(written: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(
                key if key.startswith("/") else self(key, f"a key of {name}").strip() or key
                for key in written
            )

        return replace(
            lore,
            text=self(lore.text, f"the lore {name}"),
            keys=keys(lore.keys),
            secondary_keys=keys(lore.secondary_keys),
        )


def macro_problems(card: Card) -> list[str]:
    """Return what is unknown among a card's macros: a sentence for each file and field."""
    return [
        left_out(macros, f"{place}, {field}" if place else field)
        for place, part in _parts(card)
        for field, macros in _unknown(part)
    ]


def _parts(card: Card) -> Iterator[tuple[str, Card]]:
    """Yield the files of a card by their names; the card itself where one cannot be read."""
    try:
        files = [Path(source) for source in card.source.split(", ") if source]
        parts = [(printable(file.name), read_card(file)) for file in files]
    except UserError:
        parts = []
    yield from parts or [("", card)]


def _unknown(card: Card) -> list[tuple[str, tuple[str, ...]]]:
    found: list[tuple[str, tuple[str, ...]]] = []
    settle_card(card, "", 0, lambda field, macros: found.append((field, macros)))
    return found


def as_written(scene: Card, card: Card, users: Iterable[str], began: float) -> Card:
    """Return a story's scene with the macros of its card wherever it still says what they gave.

    Args:
        scene: The scene, with what was changed in it since.
        card: The card as its file has it.
        users: Whom the user may have been when it was taken in.
        began: When the story began.
    """
    data, written = to_data(scene), to_data(card)
    for user in users:
        data = _as_written(data, to_data(settle_card(card, user, began)), written)
    return from_data(data, scene.source)


def _as_written(now: Any, settled: Any, written: Any) -> Any:
    if now == settled:
        return written
    if isinstance(now, dict) and isinstance(settled, dict):
        vanished = {key: written[key] for key in written if key not in settled and key not in now}
        known = {
            key: _as_written(value, settled[key], written[key]) if key in settled else value
            for key, value in now.items()
        }
        return {**known, **vanished}
    if isinstance(now, list) and isinstance(settled, list) and len(settled) == len(written):
        rows = {_row(each, at): at for at, each in enumerate(settled)}
        places = [rows.get(_row(each, at)) for at, each in enumerate(now)]
        return [
            each if at is None else _as_written(each, settled[at], written[at])
            for each, at in zip(now, places, strict=True)
        ]
    return now


def _row(value: Any, place: int) -> object:
    """Return what a row of a list is known again by: its name, else its place."""
    return value.get("name", place) if isinstance(value, dict) else place
