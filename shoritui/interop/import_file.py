"""Take chats in from files, into the library."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from shoritui.errors import UserError
from shoritui.interop.read_chats import read_chats
from shoritui.story import Chat, Library


def import_chats(
    library: Library,
    paths: Iterable[Path],
    tell: Callable[[str], object],
    refuse: Callable[[UserError], object],
) -> list[Chat]:
    """Put the chats in some files into the library as new ones, and return them.

    Args:
        library: Where to.
        paths: The files; what they hold is recognised by their content.
        tell: Is told in a sentence what was left out of a file.
        refuse: Is given what is wrong with a file of which nothing was taken in.
    """
    return [library.add_chat(each.whole) for each in read_chats(paths, tell, refuse)]


def import_file(
    library: Library, path: Path, tell: Callable[[str], object] = lambda told: None
) -> Chat:
    """Put the chats in a file into the library as new ones, and return the first.

    Raises:
        UserError: The file cannot be read, or holds no chat; the library is as before.
    """
    refused: list[UserError] = []
    told: list[str] = []
    chats = import_chats(library, [path], told.append, refused.append)
    if not chats:
        raise refused[0]
    for each in (*told, *map(str, refused)):
        tell(each)
    return chats[0]
