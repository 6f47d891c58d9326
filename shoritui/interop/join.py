"""Join stories that begin alike: what they share stands once, and the rest are branches.

1  2  3  4              1 ── 2 ── 3 ── 4
1  2  3' 4'                   ╰── 3' ── 4'
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TypeAlias

import msgspec

from shoritui.story import Details, Entry, Made, WholeChat

_Key: TypeAlias = tuple[int | None, str, str, str | float]


def joined(main: WholeChat, branches: Iterable[WholeChat]) -> WholeChat:
    """Return a story with others as its branches, from where on they are not the same.

    Those that do not begin as it does are left out.
    """
    tree = None
    for branch in branches:
        tree = tree or StoryTree(main)
        tree.add(branch, "")
    return tree.whole() if tree else main


class StoryTree:
    """A story that grows branches."""

    def __init__(self, main: WholeChat) -> None:
        self._main = main = main.renumbered(1)
        self._entries = {entry.id: entry for entry in main.entries}
        self._versions: dict[int, dict[tuple[str, str], int]] = defaultdict(dict)
        """Of each slot the versions, by who says what."""
        self._slots: dict[_Key, int] = {}
        self._cast = {each.name: each for each in main.chat.scene.characters}
        for entry in main.entries:
            self._index(entry)
        path = main.path()
        notes = list(takewhile(_is_authors_note, path))
        self._notes = {note.text for note in notes}
        self._root = notes[-1].id if notes else None
        self._ends = {path[-1].id: path[-1].created} if path else {}
        self._last = max(self._entries, default=0)

    def add(self, chat: WholeChat, label: str) -> bool:
        """Add what a copy has of its own; return whether it begins as this story does.

        Args:
            chat: The copy; beside its path it has other versions of what stands there.
            label: What the branch is called.
        """
        path, versions = chat.path(), defaultdict[int, list[Entry]](list)
        headers = list(takewhile(_is_authors_note, path))
        notes = [note for note in headers if note.text not in self._notes]
        path = path[len(headers) :]
        for entry in chat.entries:
            versions[entry.slot].append(entry)
        if not path or self._slot(self._root, versions[path[0].slot], path[0]) is None:
            return False
        at, slots, named = self._root, dict[int, int](), not label
        for entry in path:
            slot = self._slot(at, versions[entry.slot], entry)
            if slot is None:
                for note in notes:
                    at = self._put(at, None, note, {})
                notes = []
            below = at
            for each in versions[entry.slot]:
                place = self._versions[slot].get((each.speaker, each.text)) if slot else None
                if place is None:
                    own = each is entry and not named
                    marked = replace(each, label=each.label or label) if own else each
                    named = named or own
                    place = self._put(below, slot, marked, slots)
                    slot = slot or place
                elif each.label and self._entries[place].label is None:
                    self._entries[place] = replace(self._entries[place], label=each.label)
                if each is entry:
                    at = place
            slots[entry.slot] = slot or 0
        if not named and at is not None and self._entries[at].label is None:
            self._entries[at] = replace(self._entries[at], label=label)
        self._cast = {each.name: each for each in chat.chat.scene.characters} | self._cast
        if at is not None:
            self._ends[at] = max(path[-1].created, self._ends.get(at, 0))
        return True

    def whole(self) -> WholeChat:
        """Return the story; its head is the end that was written last."""
        chat = self._main.chat
        visited = dict(self._main.visited) | self._ends
        head = max(self._ends, key=lambda end: self._ends[end], default=chat.head)
        scene = replace(chat.scene, characters=tuple(self._cast.values()))
        return replace(
            self._main,
            chat=replace(chat, scene=scene, head=head),
            entries=tuple(self._entries.values()),
            visited=visited,
        )

    def _slot(self, at: int | None, versions: Sequence[Entry], chosen: Entry) -> int | None:
        """Return which message after an entry this one is; None if it is none of them."""
        for each in (chosen, *versions):
            if (slot := self._slots.get((at, each.kind, each.speaker, each.text))) is not None:
                return slot
        return self._slots.get((at, chosen.kind, chosen.speaker, chosen.created))

    def _put(self, at: int | None, slot: int | None, entry: Entry, slots: dict[int, int]) -> int:
        """Put an entry after another one, as a version of what stands there if `slot` names it."""
        self._last += 1
        own = slot or self._last
        details = _renamed(entry.details, slots, own)
        new = replace(entry, id=self._last, parent=at, slot=own, details=details)
        self._entries[new.id] = new
        self._index(new)
        return new.id

    def _index(self, entry: Entry) -> None:
        self._versions[entry.slot].setdefault((entry.speaker, entry.text), entry.id)
        self._slots.setdefault((entry.parent, entry.kind, entry.speaker, entry.text), entry.slot)
        # A message without a date has that of the one before it, which says nothing.
        above = self._entries.get(entry.parent) if entry.parent is not None else None
        if above is None or above.created != entry.created:
            key = (entry.parent, entry.kind, entry.speaker, entry.created)
            self._slots.setdefault(key, entry.slot)


def _is_authors_note(entry: Entry) -> bool:
    """Return whether an entry is a header's note: copies may have another one, or none."""
    return entry.kind == "note" and entry.details.note is not None


def _renamed(details: Details, slots: dict[int, int], own: int) -> Details:
    """Return the details with the slots that a summary names as they are here.

    Of which version a text was made is not known here.
    """
    span, made = details.span, details.made
    if span is not None:
        span = (slots.get(span[0], own), slots.get(span[1], own))
    return msgspec.structs.replace(details, span=span, made=made and Made(made.how, 0))
