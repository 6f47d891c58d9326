"""What of a path is read, and what the library keeps of an entry's details."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from shoritui.blockml import Instruction
from shoritui.cards import Card, Character
from shoritui.errors import UserError
from shoritui.interop.chat_json import chat_json, chat_of_json
from shoritui.story import (
    STRANGER,
    Details,
    Draft,
    Form,
    Kind,
    Library,
    NamedPart,
    NoteRule,
    absent,
    header_parts,
    outlasts,
    read_by,
    story_parts,
    who_know,
)

SCENE = Card(
    characters=(
        Character(name="Mara", description="Mara is warm."),
        Character(name="Bo", description="Bo is tall.", present=False),
        Character(name="Wren", description="Wren is tired.", user=True),
    )
)
DETAILS = Details(heard=("Bo",), note=NoteRule(sticky=True, depth=2, every=3, reader="Mara"))


def test_details_are_kept_edited_copied_and_taken_along(tmp_path: Path) -> None:
    library = Library(tmp_path / "chats.db")
    chat = library.create_chat(Card(), "Wren")
    first = library.append(chat.id, Draft("message", "Mara", "Come here."))
    note = library.append(chat.id, Draft("note", "", "Whisper from now on.", details=DETAILS))
    library.pin(note.id, True)
    span = Details(span=(first.slot, note.slot))
    library.append(chat.id, Draft("lore", "", "Mara called.", details=span))
    assert [entry.details for entry in library.entries(chat.id)] == [Details(), DETAILS, span]
    assert [entry.pinned for entry in library.entries(chat.id)] == [False, True, False]
    taken = library.add_chat(chat_of_json(chat_json(library.whole_chat(chat.id))))
    entries = library.entries(taken.id)
    assert entries[1].details == DETAILS and entries[1].pinned
    assert entries[2].details.span == (entries[0].slot, entries[1].slot) != span.span
    library.undo(chat.id)
    assert library.undo(chat.id) == "Pin a message"
    known = {entry.id: entry for entry in library.entries(chat.id)}
    assert not known[note.id].pinned
    library.redo(chat.id)
    assert library.entries(chat.id, known)[1].pinned
    library.close()


def test_who_enters_is_described_there_unless_that_stands_already(tmp_path: Path) -> None:
    library = Library(tmp_path / "chats.db")
    chat = library.create_chat(SCENE, "Wren")
    comings: tuple[tuple[Kind, str, str], ...] = (
        ("leave", "Mara", ""),
        ("enter", "Bo", ""),
        ("message", "Bo", "Hm."),
        ("leave", "Bo", "slams the door!"),
        ("enter", "Mara", ""),
        ("enter", "Bo", "is back"),
    )
    for kind, name, how in comings:
        library.append(chat.id, Draft(kind, name, how))
    path = read_by(library.entries(chat.id))
    assert texts(header_parts(SCENE, "Wren", Form())) == ["Mara is warm.", "Wren is tired."]
    assert texts(part for group in story_parts(SCENE, path, Form()) for part in group) == [
        "Mara leaves.",
        "Bo is tall.",
        "Hm.",
        "Bo slams the door!",
        "Mara enters.",
        "Bo is back.",
    ]
    assert absent(SCENE, path[:4]) == {"Mara", "Bo"} and not absent(SCENE, path)
    # Once the first four have left the context, nobody is described who had left by then.
    gone = [entry for entry in path[:4] if outlasts(entry)]
    assert texts(header_parts(SCENE, "Wren", Form(), gone)) == ["Wren is tired."]
    rest = story_parts(SCENE, path[4:], Form(), gone=gone)
    assert texts(part for group in rest for part in group) == [
        "Mara is warm.",
        "Bo is tall.",
        "Bo is back.",
    ]
    library.undo(chat.id)
    assert absent(SCENE, library.entries(chat.id)) == {"Bo"}
    assert library.undo(chat.id) == "Let Mara enter"
    library.close()


def test_a_whisper_is_read_by_those_who_heard_it(tmp_path: Path) -> None:
    library = Library(tmp_path / "chats.db")
    chat = library.create_chat(SCENE, "Wren")
    aloud = library.append(chat.id, Draft("message", "Mara", "Come."))
    secret = library.append(
        chat.id, Draft("message", "Mara", "At dawn.", details=Details(heard=("Bo",)))
    )
    path = library.entries(chat.id)
    for reader in ("Mara", "Bo", None):
        assert read_by(path, reader) == [aloud, secret]
    for reader in ("Wren", STRANGER):
        assert read_by(path, reader) == [aloud]
    assert who_know(path, ["Mara", "Bo", "Wren"]) == ("Mara", "Bo")
    assert who_know(path, ["Mara", "Bo"]) is None
    with pytest.raises(UserError, match="not said to the same people"):
        library.merge(aloud.id)
    one, two = library.split(secret.id, 2)
    assert one.details.heard == two.details.heard == ("Bo",)
    library.close()


def texts(parts: Iterable[NamedPart]) -> list[str]:
    return [part.text if isinstance(part, Instruction) else part.body for _, part in parts]
