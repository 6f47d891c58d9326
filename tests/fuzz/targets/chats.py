"""The library's file: damaged rows, damaged pages, text that nobody wrote here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from zlib import crc32

from shoritui.interop import FORMATS
from shoritui.story import Draft, Library, Origin
from tests.fuzz.run import Input
from tests.fuzz.world import World
from tests.interop.conftest import SCENE

_FEW: Final = 3
"""Formats that an input is exported in, others each time."""


def seeds() -> Iterator[Input]:
    """A library of two chats with entries of most kinds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "library.db"
        with closing(Library(path)) as library:
            _write(library)
        content = bytearray(path.read_bytes())
        content[18:20] = b"\1\1"  # no write-ahead log beside it
        yield Input("library.db", bytes(content))


def _write(library: Library) -> None:
    chat = library.create_chat(SCENE, "Bram").id
    no = library.append(chat, Draft("message", "Bram", "No.", origin=Origin("user")))
    library.append(chat, Draft("message", "Ada", "She left.", tokens=3))
    library.add_version(no.id, Draft("message", "Bram", "Yes."), keep=False, act="Edit a message")
    library.append(chat, Draft("note", "", "Be brief."))
    library.append(chat, Draft("description", "Cleo", "A gull."))
    gone = library.append(chat, Draft("message", "Ada", "Gone."))
    library.delete([gone.id])
    library.set_tags(chat, ["finished"])
    other = library.create_chat(SCENE, "Bram").id
    library.append(other, Draft("message", "Bram", "Another one."))
    library.delete_chat(library.create_chat(SCENE, "Bram").id)


def play(world: World, path: Path) -> None:
    """Read, search, write and copy what there is; put it back, and erase it."""
    data = world.home / "data"
    data.mkdir()
    shutil.copy(path, data / "library.db")
    if world.door("chats", "list").code:
        world.door("chats", "check")
        world.door("chats", "restore", path)
        return
    world.door("chats", "list", "--json")
    world.door("chats", "list", "--bin")
    world.door("chats", "check")
    first = crc32(path.read_bytes()) % len(FORMATS)
    for chat in (1, 2):
        world.door("chats", "show", chat)
        for form in [*FORMATS, *FORMATS][first : first + _FEW]:
            world.door("chats", "export", chat, "--to", world.out, "--format", form)
    world.door("chats", "search", "no")
    world.door("chats", "export", "--preferences", "--to", world.out, "--yes")
    world.door("export", "--all", world.out / "all")
    world.door("chats", "backup")
    world.door("chats", "rename", "1", "Another")
    world.door("chats", "delete", "2")
    world.door("chats", "undelete", "2")
    world.door("chats", "erase", "--all")
    world.door("chats", "restore", "1")
