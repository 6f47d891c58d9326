"""The user's library, and which of its chats a command means."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from shoritui.commands.output import print_error
from shoritui.errors import UserError
from shoritui.folders import data_dir
from shoritui.story import Chat, Library, Summary, WholeChat
from shoritui.text import one_line


def add_chat(parser: argparse.ArgumentParser) -> None:
    """Add `CHAT`."""
    parser.add_argument("chat", metavar="CHAT", help="a chat's number, or a title that only it has")


def add_chats(parser: argparse.ArgumentParser, *, nargs: str = "+") -> None:
    """Add `CHAT ...`."""
    parser.add_argument(
        "chats", metavar="CHAT", nargs=nargs, help="a chat's number, or a title that only it has"
    )


def library_path() -> Path:
    """Return the library's file, which need not exist."""
    return data_dir() / "library.db"


def has_library() -> bool:
    """Return whether there is a library; a link to a disk that is away counts: it names one."""
    path = library_path()
    return path.is_symlink() or path.exists()


@contextmanager
def open_library(*, create: bool = False) -> Iterator[Library]:
    """The user's library.

    Raises:
        UserError: There is none yet and none is to be made, or it cannot be read.
    """
    if not create and not has_library():
        raise UserError("There are no chats yet: shoritui chat begins one.")
    library = Library(library_path())
    try:
        yield library
    finally:
        library.close()


def the_chat(word: str, chats: Sequence[Summary]) -> Summary:
    """Return the chat that has this number or title.

    Raises:
        UserError: None has, or several have.
    """
    by_number = [chat for chat in chats if str(chat.id) == word]
    title = one_line(word).casefold()
    found = by_number or [chat for chat in chats if one_line(chat.name).casefold() == title]
    if not found:
        raise UserError(f"There is no chat {one_line(word)!r}: see shoritui chats.")
    if len(found) > 1:
        numbers = ", ".join(str(chat.id) for chat in found)
        raise UserError(
            f"Several chats are called {one_line(word)!r}: choose by number, {numbers}."
        )
    return found[0]


def the_chats(words: Sequence[str], chats: Sequence[Summary]) -> list[Summary]:
    """Return the chats of these numbers or titles, each once, in that order."""
    return list({chat.id: chat for chat in (the_chat(word, chats) for word in words)}.values())


def read_all(
    library: Library, chats: Sequence[Summary], unread: list[Summary]
) -> Iterator[WholeChat]:
    """Yield the chats; say of each that cannot be read why, and put it among the `unread`."""
    for chat in chats:
        try:
            whole = library.whole_chat(chat.id)
        except UserError as error:
            print_error(f"{shown(chat)} is left out. {error}")
            unread.append(chat)
        else:
            yield whole


def shown(chat: Chat | Summary) -> str:
    """Return a chat as people read it: `3 (The last ferry)`."""
    return f"{chat.id} ({one_line(chat.name)})"


def facts(chat: Summary) -> dict[str, Any]:
    """Return a chat as a script reads it."""
    return {
        "id": chat.id,
        "title": chat.name,
        "messages": chat.messages,
        "created": iso(chat.created),
        "updated": iso(chat.updated),
        "cast": list(chat.cast),
        "tags": list(chat.tags),
        "favourite": chat.favourite,
        "archived": chat.archived,
        "last_line": chat.last_line,
        **({} if chat.deleted is None else {"deleted": iso(chat.deleted)}),
        **({"damaged": True} if chat.is_damaged else {}),
    }


def iso(seconds: float) -> str:
    """Return a time for a script."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def date(seconds: float) -> str:
    """Return a time for people, in their own time zone."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
