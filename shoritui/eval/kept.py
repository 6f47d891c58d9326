"""What was measured, kept in a file as it comes, so that a run that was stopped goes on after it.

A line each: `["4f1c...", {"text": ...}]`. The key is made of all that decides the answer (model,
adapters, preset, story, hint, seed): what was asked otherwise is not found, and is measured anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from shoritui.engine.interface import Stop
from shoritui.errors import UserError
from shoritui.eval.replies import Subject
from shoritui.eval.stories import Place, Story
from shoritui.files import content_of, open_to_append, why
from shoritui.settings import Strategy
from shoritui.text import printable

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class KeptReply:
    """One reply."""

    text: str
    raw: str
    tokens: int
    stop: Stop
    rates: list[float]


@dataclass(frozen=True, slots=True)
class KeptPlace:
    """A place that was read, or does not fit the context."""

    fits: bool
    held: list[Mapping[Strategy, str]]
    """Who was held to speak next; one if it fits."""
    rates: list[float]


class Kept:
    """The file, or nothing at all."""

    def __init__(self, path: Path | None) -> None:
        """Read what is there.

        Raises:
            UserError: It cannot be read.
        """
        self._path = path
        self._values: dict[str, msgspec.Raw] = {}
        if path is None or not path.exists():
            return
        try:
            lines = content_of(path).splitlines()
        except OSError as error:
            raise UserError(f"{printable(path)} cannot be read: {why(error)}.") from None
        for line in lines:
            try:
                key, value = msgspec.json.decode(line, type=tuple[str, msgspec.Raw])
            except msgspec.DecodeError:
                continue  # It was not written to its end.
            self._values[key] = value

    def find(self, key: str, kind: type[_Value]) -> _Value | None:
        """Return what was kept by that key."""
        value = self._values.get(key)
        try:
            return None if value is None else msgspec.json.decode(value, type=kind)
        except msgspec.DecodeError:
            return None

    def add(self, key: str, value: object) -> None:
        """Keep it.

        Raises:
            UserError: It cannot be written.
        """
        if self._path is None:
            return
        # The line break comes first: the line before may have been cut off.
        line = b"\n" + msgspec.json.encode((key, value))
        try:
            with open_to_append(self._path) as file:
                file.write(line)
        except OSError as error:
            raise UserError(f"{printable(self._path)} cannot be written: {why(error)}.") from None


def key_of(*parts: object) -> str:
    """Return the key of what is decided by these."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def files_of(subject: Subject) -> tuple[object, ...]:
    """Return what tells a subject's model and adapters from others."""
    scaled = [(subject.model, 1.0), *((each.path, each.scale) for each in subject.adapters)]
    scaled += [
        (file, 1.0) for path, _ in scaled[1:] if path.is_dir() for file in sorted(path.iterdir())
    ]
    stats = [(path.stat(), path, scale) for path, scale in scaled]
    return tuple((str(path), one.st_size, one.st_mtime_ns, scale) for one, path, scale in stats)


def text_of(story: Story) -> str:
    """Return all that decides how likely a story's messages are."""
    last = Place(story, story.messages[-1])
    return f"{story.name}\n{last.prompt}{last.speaker}: {last.written}"
