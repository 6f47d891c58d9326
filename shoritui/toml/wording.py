"""Say what is wrong with a file: in one sentence, in plain words, with the nearest known name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from shoritui.errors import UserError
from shoritui.text import clean, closest, one_line
from shoritui.toml.write import quoted

_LONGEST = 40  # characters of a value that are repeated in a sentence


def file_error(path: Path, sentence: str) -> UserError:
    """Return the error about a file, on one line and free of control characters."""
    return UserError(one_line(f"{path}: {sentence}"))


def nearest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the end of a sentence about an unknown word: the known one that it resembles.

    Where none is near and `otherwise` is given, it introduces the list of all.
    """
    known = list(known)
    if name := closest(word, known):
        return f'; did you mean "{name}"?'
    return f"; {otherwise} {', '.join(known)}" if known and otherwise else ""


def shown(value: object, word: str = "") -> str:
    """Return a value as a sentence names it; `word` stands before a text."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return word + clean(quoted(_cut(value)))
        case int() | float():
            return _cut(str(value))
        case list() | tuple():
            return "a list"
        case dict():
            return "a table"
        case None:
            return "nothing"
        case _:
            return "a date or time"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
