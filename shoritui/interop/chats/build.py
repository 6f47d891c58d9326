"""Put a chat of another program together, message by message."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from shoritui.cards import Card, Character, Lore
from shoritui.errors import UserError
from shoritui.interop.cards.values import name_of
from shoritui.interop.dates import seconds_of
from shoritui.interop.placeholders import with_names
from shoritui.story import Chat, Details, Entry, Kind, NoteRule, Origin, WholeChat
from shoritui.text import clean, is_visible, one_line

Tell: TypeAlias = Callable[[str], object]
NARRATOR: Final = "Narrator"
_MOST: Final = 500_000
"""Messages and their versions; a story of 10,000 messages with fifty versions each."""


@dataclass(slots=True)
class ChatBuilder:
    """A chat as far as it was told; texts are cleaned here, and speakers join the cast."""

    name: str
    """What the chat is called."""
    user: str
    """The name the user speaks as."""
    char: str
    """Who answers, where nobody else is named."""
    head: int | None = None
    """The entry that the next one follows, the one that was told last; it may be set."""
    scenario: str = ""
    lore: tuple[Lore, ...] = ()
    cast: dict[str, Character] = field(default_factory=dict)
    _entries: list[Entry] = field(default_factory=list)
    _last: float = field(default_factory=time.time)

    def say(
        self,
        speaker: str,
        texts: Sequence[str],
        chosen: int = 0,
        *,
        kind: Kind = "message",
        date: object = None,
        hidden: bool = False,
        label: str = "",
        details: Details | None = None,
    ) -> int | None:
        """Add a message and return its id; None if there is nothing to see in it.

        Args:
            speaker: Who says it; nobody for notes.
            texts: Its versions, oldest first.
            chosen: Which of them is told.
            kind: What it is.
            date: When it was written, in any form; without one, when the one before it was.
            hidden: Whether the model does not read it.
            label: The name of a bookmark.
            details: What only few entries have.

        Raises:
            UserError: There are far too many.
        """
        told = texts[chosen] if 0 <= chosen < len(texts) else ""
        told_at = sum(is_visible(text) for text in texts[:chosen])
        seen = [text for text in texts if is_visible(text)]
        if not is_visible(told):
            if not seen:
                return None
            told_at = len(seen) - 1
        if len(self._entries) + len(seen) > _MOST:
            raise UserError(f"it has more than {_MOST:,} messages and versions")
        self._last = seconds_of(date) or self._last
        first = len(self._entries) + 1
        char = self.char if speaker in ("", self.user) else speaker
        for number, text in enumerate(seen, first):
            self._entries.append(
                Entry(
                    *(number, self.head, kind, speaker, None),
                    *(clean(with_names(text, self.user, char)).strip(), "complete", self._last, 0),
                    *(first, hidden, one_line(label) or None, Origin("import")),
                    details or Details(),
                )
            )
        if kind == "message" and speaker != NARRATOR:
            self.meet(speaker)
        self.head = first + told_at
        return self.head

    def note(self, text: str, rule: NoteRule | None = None, *, hidden: bool = False) -> int | None:
        """Add an author's note and return its id; None if there is nothing to see in it."""
        return self.say("", [text], kind="note", hidden=hidden, details=Details(note=rule))

    def meet(self, name: str) -> None:
        """Let somebody join the cast."""
        self.cast.setdefault(name, Character(name=name))

    @property
    def has_begun(self) -> bool:
        """Whether anything was told."""
        return bool(self._entries)

    def whole(self) -> WholeChat:
        """Return the chat.

        Raises:
            UserError: Nothing was told.
        """
        if not self._entries:
            raise UserError("no message is in it")
        cast = dict(self.cast)
        if not any(name != self.user for name in cast) and self.char != NARRATOR:
            cast[self.char] = Character(name=self.char)
        described = cast.pop(self.user, Character(name=self.user))
        characters = (*cast.values(), replace(described, user=True))
        scenario = with_names(clean(self.scenario), self.user, self.char).strip()
        scene = Card(scenario=scenario, characters=characters, lore=self.lore)
        now = time.time()
        created = min(entry.created for entry in self._entries)
        chat = Chat(0, self.name, scene, self.user, self.head, {}, created, now)
        return WholeChat(chat, tuple(self._entries), {self.head: now} if self.head else {})


def called(*values: object, default: str) -> str:
    """Return the first of some values that can be a name."""
    return next(filter(None, map(name_of, values)), default)


def titled(*values: object) -> str:
    """Return the first of some values that can be a chat's title."""
    lines = (one_line(value) for value in values if isinstance(value, str))
    return next(filter(is_visible, lines), "Untitled")
