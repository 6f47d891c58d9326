"""Chats that went on from a part of another one, as branches of one story.

SillyTavern copies a chat up to a message into a new file, and goes on there:

    The ferry               1  2  3  4              1 ── 2 ── 3 ── 4
    Branch #2               1  2  3' 4'                   ╰── 3' ── 4'

The copy names the chat it was made of (`main_chat`), and the message its copies (`branches`, or
`bookmark_link` where it is a checkpoint).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shoritui.interop.join import StoryTree
from shoritui.interop.sillytavern.read import ReadChat
from shoritui.story import WholeChat


@dataclass(frozen=True, slots=True)
class Story:
    """What some files are together."""

    whole: WholeChat
    names: tuple[str, ...]
    """Of which files it is made; the one that the others went on from comes first."""
    books: tuple[str, ...] = ()
    """The names of the lorebooks that belong to it."""


def stories_of_sillytavern(chats: Sequence[ReadChat]) -> list[Story]:
    """Return the stories of one folder's files: a chat and its branches are one.

    The end that was written last is where the story goes on. Files that are linked, but do not
    begin alike, stay apart.

    Args:
        chats: The files; no two may have the same name.
    """
    return [story for family in _families(chats) for story in _joined(family)]


def _families(chats: Sequence[ReadChat]) -> Iterator[list[ReadChat]]:
    """Yield the files that are linked, each after the one it went on from."""
    of = {chat.name: chat.name for chat in chats}

    def first(name: str) -> str:
        while of[name] != name:
            of[name] = name = of[of[name]]
        return name

    for chat in chats:
        # Two branches of a chat that is gone belong together all the same.
        for other in filter(None, (chat.main, *chat.branches)):
            of.setdefault(other, other)
            of[first(other)] = first(chat.name)
    families: dict[str, list[ReadChat]] = defaultdict(list)
    for chat in chats:
        families[first(chat.name)].append(chat)
    for family in families.values():
        mains = {chat.name: chat.main for chat in family}
        yield sorted(family, key=lambda chat: (_depth(chat.name, mains), chat.whole.chat.created))


def _depth(name: str, mains: dict[str, str]) -> int:
    """Return of how many files a file is a copy's copy."""
    way: set[str] = set()
    while mains.get(name) in mains and name not in way:
        way.add(name)
        name = mains[name]
    return len(way)


def _joined(family: Sequence[ReadChat]) -> Iterator[Story]:
    """Yield the story of linked files, and those that do not begin as it does."""
    main, *rest = family
    if not rest:
        yield Story(main.whole, (main.name,), (main.book,) if main.book else ())
        return
    tree, names, books, others = StoryTree(main.whole), [main.name], [main.book], list[ReadChat]()
    for chat in rest:
        if tree.add(chat.whole, chat.name):
            names.append(chat.name)
            books.append(chat.book)
        else:
            others.append(chat)
    yield Story(tree.whole(), tuple(names), tuple(dict.fromkeys(filter(None, books))))
    if others:
        yield from _joined(others)
