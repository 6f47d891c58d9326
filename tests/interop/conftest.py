"""A library, settings of its own, and a story with branches in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoritui.cards import Card, Character, Lore, Opening
from shoritui.story import Chat, Draft, Library, Origin

SCENE = Card(
    title="The last ferry",
    tags=("sea", "night"),
    characters=(
        Character(name="Bram", description="A baker who is late.", user=True),
        Character(name="Ada", description="**Name:** Ada\nPatient.", aliases=("Addie",)),
    ),
    lore=(
        Lore(name="harbour", text="The harbour closes at night."),
        Lore(name="whistle", text="The whistle is tin.", keys=("whistle",)),
    ),
    scenario="The ferry leaves.",
    messages=(Opening(speaker="Ada", text='"We leave at noon."', length="nano"),),
    source="/home/bram/ferry.toml",
)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    library = Library(tmp_path / "home/data/library.db")
    yield library
    library.close()


@pytest.fixture
def chat(library: Library) -> Chat:
    """A chat with every kind of entry, versions, a branch, a bookmark, something in the bin."""
    chat = library.create_chat(SCENE, "Bram").id
    origin = Origin("model", "shori", "card-main", 7, ("noir",))
    no = library.append(chat, Draft("message", "Bram", "No.", origin=Origin("user")))
    library.append(chat, Draft("message", "Ada", "She left.", origin=origin, tokens=3))
    heard = Draft("message", "Bram", "He heard the whistle.", "tiny")
    library.add_version(no.id, heard, keep=False, act="Edit a message")
    library.append(chat, Draft("note", "", "Be brief."))
    library.append(chat, Draft("title", "", "At sea"))
    gull = library.append(chat, Draft("description", "Cleo", "A gull."))
    library.append(chat, Draft("ooc", "Bram", "Back soon."))
    gone = library.append(chat, Draft("message", "Ada", "Gone."))
    library.delete([gone.id])
    hidden = library.append(chat, Draft("message", "Ada", "_Hidden_, she thought."))
    library.hide(hidden.id, True)
    library.set_label(gull.id, "the gull")
    library.set_tags(chat, ["finished"])
    library.set_favourite(chat, True)
    return library.update_settings(chat, preset="card-main", first_kept=gull.id)
