"""What a command is, and what those have in common that choose from a list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from shoritui.errors import UserError
from shoritui.linear.evening import Evening
from shoritui.text import one_line, printable


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do."""

    run: Callable[[Evening, str], Awaitable[None]]
    """Does it, with what followed its word; what cannot be done is a `UserError`."""
    help: str
    argument: str = ""
    """What may follow its word, for people to read."""


def choose(
    evening: Evening, word: str, wanted: str, values: Sequence[str], now: str = "", rows: str = ""
) -> str | None:
    """Return what is meant of a list, by value, number or beginning; without a word, list it.

    `rows` are the values as people read them, a line each.

    Raises:
        UserError: None of them is meant.
    """
    shown = rows.splitlines() if rows else [one_line(value) for value in values]
    if not wanted:
        for number, row in enumerate(shown, 1):
            evening.voice.line(f"{number}. {row}" + (" (now)" if now == values[number - 1] else ""))
        evening.voice.news(f"/{word} and a number or name chooses." if values else "There is none.")
        return None
    if wanted.isdecimal() and 1 <= int(wanted[:9]) <= len(values):
        return values[int(wanted) - 1]
    folded = wanted.casefold()
    exact = [value for value in values if value.casefold() == folded]
    near = [
        value
        for value, row in zip(values, shown, strict=True)
        if value.casefold().startswith(folded) or row.casefold().startswith(folded)
    ]
    if exact or near:
        return (exact or near)[0]
    raise UserError(f"There is no {printable(wanted)}: /{word} lists what there is.")
