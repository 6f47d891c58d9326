"""A passage: one entry of a story as the reader sees it, its text safe to show.

It does not know where it is stored, nor how wide the screen is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoritui.blockml import clean

if TYPE_CHECKING:
    from shoritui.story import Entry, Kind, Status


@dataclass(slots=True)
class Passage:
    """What the transcript knows of one entry."""

    id: int
    kind: Kind
    speaker: str
    text: str
    length: str = ""
    """The length hint's word, or nothing."""
    tokens: int = 0
    status: Status = "complete"
    version: tuple[int, int] = (1, 1)
    """Which of how many alternatives this is, counted from 1."""


def passage(entry: Entry, version: tuple[int, int] = (1, 1)) -> Passage:
    """The passage that shows an entry."""
    return Passage(
        id=entry.id,
        kind=entry.kind,
        speaker=one_line(entry.speaker),
        text=safe(entry.text),
        length=entry.length or "",
        tokens=entry.tokens,
        status=entry.status,
        version=version,
    )


def safe(text: str) -> str:
    """The text without anything a terminal would obey; newlines stay."""
    if text.replace("\n", "").isprintable():
        return text
    return clean(text)


def one_line(text: str) -> str:
    """The text safe to show in one row."""
    return " ".join(safe(text).split()) if "\n" in text else safe(text)
