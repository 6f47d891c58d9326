"""The notes of a chat: which are read, and what their rules cost.

A note that stays where it stands costs nothing; one that moves, or that not everybody reads, has
what stands below it read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from shoritui.director.chat_state import ChatState
from shoritui.story import Entry, NoteRule, outlasts, read_by, rule_of

_LETTERS: Final = 4
"""About how many letters a token has."""
NoteState: TypeAlias = Literal["read", "over", "gone", "ended"]


@dataclass(frozen=True, slots=True)
class NoteRow:
    """One note of the story."""

    entry: Entry
    state: NoteState
    """Whether it is read; `over` after its one reply, `gone` with older messages, or `ended`."""
    reread: int
    """About how many tokens its rule has read again at each message."""
    below: int
    """About how many stand below it, which are read again once if it is changed or ended."""


def note_rows(chat: ChatState) -> list[NoteRow]:
    """Return the notes of the active path, those that are read first."""
    rows = [
        NoteRow(entry, _state(chat, at), reread(chat, rule_of(entry), at), read_tokens(chat, at))
        for at, entry in enumerate(chat.entries)
        if entry.kind == "note"
    ]
    return sorted(rows, key=lambda row: row.state != "read")


def read_tokens(chat: ChatState, at: int = 0) -> int:
    """Return about how many tokens of the story are read from this place of the path on."""
    return sum(map(_size, _read(chat, at)))


def reread(chat: ChatState, rule: NoteRule, at: int | None = None) -> int:
    """Return about how many tokens this rule has read again at each message.

    Of a note that stands at this place of the path; without one, of one that is written now.
    """
    if rule.depth is not None:
        sizes = [_size(each) for each in _read(chat, 0) if each.kind == "message"]
        return sum(sizes[-rule.depth - 1 :])
    return read_tokens(chat, len(chat.entries) if at is None else at) if rule.reader else 0


def _state(chat: ChatState, at: int) -> NoteState:
    entry = chat.entries[at]
    if entry.hidden:
        return "ended"
    if at < chat.first_place and not outlasts(entry):
        return "gone"
    return "read" if entry in read_by(chat.entries[at:]) else "over"


def _read(chat: ChatState, at: int) -> Sequence[Entry]:
    return read_by(chat.entries[max(at, chat.first_place) :])


def _size(entry: Entry) -> int:
    """Return an entry's tokens; where nobody has counted them, so many as its letters make up."""
    return entry.tokens or len(entry.text) // _LETTERS
