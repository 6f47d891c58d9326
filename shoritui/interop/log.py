"""Logs of lines such as `Ada: Hm.`: who says what, and on which line it begins."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import Final, NamedTuple

from shoritui.blockml import BLOCK_CLOSE, BLOCK_OPEN, check_name
from shoritui.text import clean

MOST_WORDS: Final = 4
"""Words of a name that is only guessed."""
_LONGEST: Final = 60
_LINE: Final = re.compile(rf"(?P<name>[^:]{{1,{_LONGEST}}}):(?: +(?P<text>.*))?", re.DOTALL)


class LogMessage(NamedTuple):
    """One message of a log."""

    speaker: str
    text: str
    line: int
    """From 1."""


def messages_of_log(text: str, known: Collection[str] = ()) -> list[LogMessage] | None:
    """Return what is said in a log; None if the text is none.

    The first two speakers are those of the first two names before a colon; whoever else speaks
    begins two lines or more, or is `known`. Every other line goes on with the message above it.
    """
    if BLOCK_OPEN in text or BLOCK_CLOSE in text:
        return None
    lines = clean(text).split("\n")
    first = next((at for at, line in enumerate(lines) if line.strip()), len(lines))
    begun = [(log_name(line), line) for line in lines[first:]]
    counts = Counter(each for each, _ in begun if each)
    speakers = {
        each for place, each in enumerate(counts) if place < 2 or counts[each] > 1 or each in known
    }
    if not speakers or begun[0][0] not in speakers or counts.total() < 2:
        return None
    messages = list[tuple[str, list[str], int]]()
    for number, (speaker, line) in enumerate(begun, start=first + 1):
        if speaker in speakers:
            messages.append((speaker, [line.partition(":")[2].strip()], number))
        else:
            messages[-1][1].append(line)
    return [LogMessage(name, "\n".join(told).strip(), line) for name, told, line in messages]


def log_name(line: str) -> str:
    """Return who says a line of a log; nobody if it only goes on."""
    if ":" not in line[: _LONGEST + 1]:  # most lines, and soon told
        return ""
    match = _LINE.fullmatch(line)
    name = match["name"].strip() if match else ""
    return name if is_name(name) and len(name.split()) <= MOST_WORDS else ""


def is_name(name: str) -> bool:
    """Return whether somebody can be called so."""
    try:
        return bool(check_name(name))
    except ValueError:
        return False
