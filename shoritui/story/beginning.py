"""What a story begins with: the notes of its scene, then the opening, each with its versions."""

from __future__ import annotations

from collections.abc import Iterator

from shoritui.cards import Card, Note
from shoritui.story.model import Details, Draft, NoteRule, Origin

_ORIGIN = Origin("card")


def beginning(scene: Card, user: str) -> Iterator[list[Draft]]:
    """Yield the versions of each entry, the one that is told first.

    Args:
        scene: The scene, its macros settled.
        user: The name the user speaks as.
    """
    others = [character.name for character in scene.characters if character.name != user]
    for note in scene.notes:
        yield [_draft(note, user, next(iter(others), ""))]
    for opening in scene.messages:
        yield [
            Draft(
                *("message", opening.speaker, text),
                length=opening.length if text == opening.text else None,
                origin=_ORIGIN,
            )
            for text in opening.texts(in_group=len(others) > 1)
        ]


def _draft(note: Note, user: str, other: str) -> Draft:
    """Return a note; one that somebody says is read as a message of theirs."""
    speaker = {"note": "", "user": user, "character": note.character or other}[note.role]
    rule = NoteRule(sticky=note.depth is None, depth=note.depth, reader=note.character)
    return Draft("note", speaker, note.text, origin=_ORIGIN, details=Details(note=rule))
