"""What the config adds to a conversation: names, descriptions out of cards, and tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from shoritui.blockml import Block, Instruction, Part, check_name, description_body
from shoritui.cards import Card, Character, settle_card
from shoritui.interop.datasets.model import Found, Reading, Unusable
from shoritui.text import clean, printable

_BEFORE: Final = ("title", "tags", "lore", "description")
"""What stands before a new description."""


def renamed(found: Found, names: Mapping[str, str]) -> Found:
    """Return a conversation whose speakers are called as the config says."""
    if not names:
        return found
    parts = (
        replace(part, name=names.get(part.name, part.name)) if isinstance(part, Block) else part
        for part in found.parts
    )
    return replace(found, parts=tuple(parts))


def completed(found: Found, reading: Reading) -> Found:
    """Return a conversation as clean as a chat's, with descriptions of cards and with tags.

    Raises:
        Unusable: A speaker has a name that nobody can have.
    """
    found = replace(found, parts=tuple(map(cleaned, found.parts)))
    names: set[str] = set()
    for part, line in zip(found.parts, found.lines, strict=True):
        if isinstance(part, Block) and part.role == "message" and part.name not in names:
            names.add(part.name)
            try:
                check_name(part.name)
            except ValueError as error:
                sentence = f"no speaker is {printable(part.name, 60)!r}: {error}"
                raise Unusable(line, sentence) from None
    for body in _missing(found, reading.cast):
        at = _place(found.parts, _BEFORE)
        found = _inserted(found, at, Block("description", body))
    return _tagged(found, reading.tags) if reading.tags else found


def _missing(found: Found, cast: Sequence[Character]) -> list[str]:
    """Return the descriptions that cards have, and the conversation has not."""
    if not cast:
        return []
    spoken = dict.fromkeys(
        part.name for part in found.parts if isinstance(part, Block) and part.role == "message"
    )
    told = [
        part.body for part in found.parts if isinstance(part, Block) and part.role == "description"
    ]
    by_name = {
        name.casefold(): each for each in reversed(cast) for name in (*each.aliases, each.name)
    }
    known = {name: by_name[name.casefold()] for name in spoken if name.casefold() in by_name}
    users = [name for name in spoken if name not in known or known[name].user]
    user = users[0] if len(users) == 1 else ""
    wanted = [(name, each) for name, each in known.items() if each.description]
    bodies = []
    for name, each in sorted(wanted, key=lambda pair: pair[1].user):
        text = _settled(tuple(cast), user, each.name)
        body = description_body(name, text)
        if not any(description_body(name, other) == other for other in told):
            bodies.append(body)
    return bodies


@lru_cache(maxsize=1024)
def _settled(cast: tuple[Character, ...], user: str, name: str) -> str:
    """Return a character's description with the macros of its card settled."""
    card = settle_card(Card(characters=cast), user or "You", 0)
    text = next(each.description for each in card.characters if each.name == name)
    return clean(text).strip()


def _tagged(found: Found, tags: Sequence[str]) -> Found:
    for at, part in enumerate(found.parts):
        if isinstance(part, Block) and part.role == "tags":
            own = {" ".join(tag.split()).casefold() for tag in part.body.split(",")}
            new = [tag for tag in tags if tag.casefold() not in own]
            body = ", ".join([*([part.body.strip()] if part.body.strip() else []), *new])
            parts = (*found.parts[:at], replace(part, body=body), *found.parts[at + 1 :])
            return replace(found, parts=parts)
    return _inserted(found, _place(found.parts, ("title",)), Block("tags", ", ".join(tags)))


def _place(parts: Sequence[Part], before: Sequence[str]) -> int:
    """Return where a block of the scene belongs: behind these, at the top of the conversation."""
    at = 0
    for place, part in enumerate(parts):
        if isinstance(part, Instruction):
            continue
        if part.role not in ("title", "tags", "lore", "description", "scenario"):
            break
        if part.role in before:
            at = place + 1
    return at


def _inserted(found: Found, at: int, part: Part) -> Found:
    line = found.lines[at] if at < len(found.lines) else found.lines[-1]
    return replace(
        found,
        parts=(*found.parts[:at], part, *found.parts[at:]),
        lines=(*found.lines[:at], line, *found.lines[at:]),
        unlearnt=frozenset(place + (place >= at) for place in found.unlearnt),
        added=frozenset({at, *(place + (place >= at) for place in found.added)}),
    )


def cleaned(part: Part) -> Part:
    """Return a part without what a terminal would act on."""
    text = part.body if isinstance(part, Block) else part.text
    if (new := clean(text)) is text:
        return part
    return replace(part, body=new) if isinstance(part, Block) else replace(part, text=new)
