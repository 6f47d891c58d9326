"""The library's file: damaged rows, damaged pages, text that nobody wrote here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zlib import crc32

from shoritui.interop import FORMATS
from tests.fuzz.run import Input
from tests.fuzz.world import World
from tests.story.damage import BROKEN, FIRST, KINDS, stories

_FEW: Final = 3
"""Formats that an input is exported in, others each time."""

_APART: Final = 12
"""Of the kinds of damage one in so many is a seed: `tests/story` tries each of them."""


def seeds() -> Iterator[Input]:
    """A library of three chats in which there is one of everything, sound and damaged."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "library.db"
        stories(path)
        sound = path.read_bytes()
        yield _input(sound)
        for each in [*KINDS.values()][::_APART]:
            path.write_bytes(sound)
            each.do(path)
            yield _input(path.read_bytes())


def _input(library: bytes) -> Input:
    """A library without a write-ahead log beside it."""
    content = bytearray(library)
    content[18:20] = b"\1\1"
    return Input("library.db", bytes(content))


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
    for chat in (FIRST, BROKEN):
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
