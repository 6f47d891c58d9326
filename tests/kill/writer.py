"""A process that does everything a story allows, as fast as it can, until it is killed.

Each act is announced on its output before it begins, and again, with what was promised of it, once
it is said to be on the disk.
"""

from __future__ import annotations

import json
import random
import sys
from contextlib import suppress
from pathlib import Path

from shoritui.errors import UserError
from shoritui.story import Draft, Entry, Library
from tests.story.conftest import SCENE

LONGEST = 40
"""Entries of a story before the next one begins."""


class Writer:
    """One story after another in a library that others write into as well."""

    def __init__(self, path: Path, seed: int) -> None:
        self._random = random.Random(seed)
        self._name = f"writer {seed}"
        self._library = Library(path)
        self._count = 0
        self._chat = self._library.create_chat(SCENE, "Marisa", self._name).id

    def run(self) -> None:
        """Write until the end."""
        self._promise()
        while True:
            self._tell("acting", self._chat)
            with suppress(UserError):  # such as moving the first message up
                self._act(self._library.entries(self._chat))
            self._promise()

    def _act(self, path: list[Entry]) -> None:
        library, any_one = self._library, self._random.choice(path) if path else None
        keep = self._random.random() < 0.5
        what = self._random.choice(
            ("say", "say", "reply", "reply", "edit", "swipe", "delete", "tree")
        )
        if len(path) > LONGEST:
            self._chat = library.create_chat(SCENE, "Marisa", self._name).id
        elif what == "say" or any_one is None:
            library.append(self._chat, self._draft())
        elif what == "reply":
            entry = library.append(self._chat, Draft("message", "Reimu", "", status="streaming"))
            self._stream(entry)
        elif what == "edit":
            library.add_version(any_one.id, self._draft(), keep=keep, act="Edit a message")
        elif what == "swipe":
            anew = Draft("message", any_one.speaker, "", status="streaming")
            self._stream(library.add_version(any_one.id, anew, keep=keep, act="Retry"))
        elif what == "delete":
            library.delete([any_one.id])
        else:
            self._rearrange(any_one, keep)

    def _rearrange(self, entry: Entry, up: bool) -> None:
        library = self._library
        match self._random.randrange(6):
            case 0:
                library.undo(self._chat)
            case 1:
                library.redo(self._chat)
            case 2:
                library.move(entry.id, up=up)
            case 3:
                library.split(entry.id, len(entry.text) // 2)
            case 4:
                library.merge(entry.id)
            case _:
                library.go_to(self._random.choice(library.tree(self._chat)).id, self._chat)

    def _draft(self) -> Draft:
        self._count += 1
        return Draft("message", "Reimu", f"{self._name} said number {self._count}. " * 20)

    def _stream(self, entry: Entry) -> None:
        text = ""
        for word in range(self._random.randrange(6)):
            text += f" {self._name} word {word}"
            self._library.write(entry.id, text, status="streaming", tokens=word)
            self._tell("wrote", entry.id, text)
        if not text:
            self._library.drop(entry.id)
        else:
            self._library.write(entry.id, text, status="complete", tokens=1)

    def _promise(self) -> None:
        """Tell the whole story as it stands, all of which is on the disk."""
        for entry in self._library.entries(self._chat):
            self._tell("kept", entry.id, entry.text)
        self._tell("path", self._chat, [entry.id for entry in self._library.entries(self._chat)])

    def _tell(self, what: str, number: int, rest: object = None) -> None:
        print(json.dumps([what, number, rest]), flush=True)


if __name__ == "__main__":
    Writer(Path(sys.argv[1]), int(sys.argv[2])).run()
