"""What a format of lorebooks must say of itself, and helpers of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from shoritui.cards import Lore, key_pattern
from shoritui.interop.cards.values import Values, name_of
from shoritui.text import composed

Entry: TypeAlias = dict[str, Any]
Write: TypeAlias = Callable[[Entry, Lore], None]
"""Puts what a field of a piece says into its entry."""


@dataclass(frozen=True, slots=True)
class Form:
    """One format."""

    name: str
    kind: str
    """What its entries are called; formats of one kind have the same ones."""
    summary: str
    """Whose it is, in a line."""
    is_book: Callable[[object], bool]
    path: tuple[str, ...]
    """Where the entries stand in a book."""
    read: Callable[[Values, int, Values], Lore]
    """Returns the piece of an entry, given its number and the book; its text may be empty."""
    left: Callable[[Values], Iterable[str]]
    """Yields the names of what an entry has beside."""
    write: Mapping[str, Write]
    """How each field of a piece is put into an entry; what is missing has no place there."""
    blank: Callable[[int], Entry]
    """Returns a new entry, given its number."""
    new: Callable[[str], Entry]
    """Returns a new book, given its name."""
    used: frozenset[str]
    """The names that `read` uses."""
    renamed: Callable[[Values, str], Entry] | None = None
    """Returns what this format calls the other values of an entry of another kind."""
    extensions: str = "extensions"
    """Where an entry holds what other programs put there."""


def is_key(key: str) -> bool:
    """Return whether it is a word, or a pattern that can be used."""
    try:
        key_pattern(key)
    except ValueError:
        return False
    return bool(key.strip())


def is_pattern(key: str) -> bool:
    """Return whether a key that can be used is a pattern."""
    return key_pattern(key) is not None


def starred(keys: Iterable[str]) -> tuple[str, ...]:
    """Return keys that are also found in longer words, as most programs do, for their plurals."""
    return tuple(dict.fromkeys(f"{key}*" if _has_plural(key) else key for key in keys))


def unstarred(keys: Iterable[str]) -> list[str]:
    """Return keys for a program that finds them in longer words by itself."""
    bare = (key[:-1] if key.endswith("*") and _has_plural(key[:-1]) else key for key in keys)
    return list(dict.fromkeys(bare))


def first_name(number: int, *values: object) -> str:
    """Return the first of these that can be the name of a piece, else its number."""
    found = next(filter(None, map(name_of, values)), "")
    return composed(found) or f"Lore {number}"


def _has_plural(key: str) -> bool:
    return key[-1:].isalnum() and not is_pattern(key)
