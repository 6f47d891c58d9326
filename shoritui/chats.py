"""`shoritui chats`: the chats of the library, listed, and written as files to train on.

It only shows and writes; which blocks a chat consists of is the director's to say.
"""

from __future__ import annotations

import argparse
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from shoritui.blockml import clean
from shoritui.director import Form, header_segments, story_segments
from shoritui.errors import UserError
from shoritui.files import replace_text
from shoritui.settings import Settings, data_dir
from shoritui.story import Chat, Entry, Library

SUFFIXES: Final = {"blockml": ".txt", "jsonl": ".jsonl"}
"""The formats, and how their files' names end."""
_HEAD: Final = ("ID", "MESSAGES", "LAST USED", "TITLE")
_LONGEST_NAME: Final = 80
"""Bytes of a title in a file's name."""


@dataclass(frozen=True, slots=True)
class _Told:
    """A chat, and what of its active path there is to read."""

    chat: Chat
    entries: tuple[Entry, ...]

    @property
    def messages(self) -> int:
        return sum(entry.kind == "message" for entry in self.entries)

    @property
    def shown(self) -> str:
        """How people read which chat it is."""
        return f"{self.chat.id} ({_line(self.chat.name)})"


def list_chats(options: argparse.Namespace) -> int:
    """Prints every chat, the one used last first, as rows or as JSON."""
    with _library() as library:
        chats = [_told(library, chat) for chat in library.chats()] if library else []
    if options.json:
        # Escaped, so that no title reaches a terminal as a command.
        facts = json.dumps({"chats": [_facts(told) for told in chats]}, indent=2)
        print(facts.replace("\x7f", "\\u007f"))
    elif chats:
        print("\n".join(_table([_HEAD, *map(_row, chats)])))
    else:
        print("There are no chats yet: shoritui chat begins one.")
    return 0


def export_chats(options: argparse.Namespace, settings: Settings) -> int:
    """Writes chats as files of BlockML, one each, in a folder.

    Raises:
        UserError: A chat is not there or is not told apart, or a file of the same name with
            something else in it is; then nothing is written.
    """
    with _library() as library:
        every = library.chats() if library else []
        chosen = every if options.all else _chosen(options.chats, every)
        chats = [_told(library, chat) for chat in chosen] if library else []
    form = Form(settings.instruction, settings.instruction_place, settings.ooc_form)
    folder: Path = options.to.expanduser()
    files = {
        folder / f"{_file_name(told.chat)}{SUFFIXES[options.format]}": _text(
            told, form, options.format
        )
        for told in chats
        if told.messages
    }
    new = {path: text for path, text in files.items() if not _is_there(path, text)}
    for path, text in new.items():
        try:
            replace_text(path, text)
        except OSError as error:
            raise UserError(clean(f"{path} cannot be written: {error.strerror}.")) from None
        print(clean(str(path)))
    for told in chats:
        if not told.messages:
            print(f"Left out, since nothing is said in it: {told.shown}")
    same = len(files) - len(new)
    print(f"{len(new)} written to {clean(str(folder))}" + f", {same} as it was" * bool(same))
    return 0


@contextmanager
def _library() -> Iterator[Library | None]:
    """The user's library; None if there is none yet."""
    path = data_dir() / "library.db"
    if not path.exists():
        yield None
        return
    library = Library(path)
    try:
        yield library
    finally:
        library.close()


def _told(library: Library, chat: Chat) -> _Told:
    """The chat without what is being written and what was never written."""
    entries = library.entries(chat.id)
    return _Told(chat, tuple(e for e in entries if e.status != "streaming" and e.text.strip()))


def _chosen(wanted: Sequence[str], chats: Sequence[Chat]) -> list[Chat]:
    """The chats that are meant by numbers or titles, each once, in that order."""
    if not wanted:
        raise UserError("Name chats by their number or title (shoritui chats list), or say --all.")
    found = [_meant(word, chats) for word in wanted]
    return list({chat.id: chat for chat in found}.values())


def _meant(word: str, chats: Sequence[Chat]) -> Chat:
    by_number = [chat for chat in chats if str(chat.id) == word]
    by_title = [chat for chat in chats if _line(chat.name).casefold() == word.casefold()]
    found = by_number or by_title
    if not found:
        raise UserError(f"There is no chat {_line(word)!r}: see shoritui chats list.")
    if len(found) > 1:
        numbers = ", ".join(str(chat.id) for chat in found)
        raise UserError(f"Several chats are called {_line(word)!r}: choose by number, {numbers}.")
    return found[0]


def _text(told: _Told, form: Form, kind: str) -> str:
    """All of a chat as a model would read it with room enough."""
    segments = header_segments(told.chat.scene, told.chat.user, form)
    for group in story_segments(told.chat.scene, told.entries, form):
        segments += group
    text = "".join(segment.text for segment in segments)
    return text if kind == "blockml" else json.dumps({"text": text}, ensure_ascii=False) + "\n"


def _is_there(path: Path, text: str) -> bool:
    """Whether a file holds this already; `UserError` if it holds something else."""
    try:
        if path.read_bytes() == text.encode():
            return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UserError(clean(f"{path} cannot be read: {error.strerror}.")) from None
    raise UserError(
        clean(f"{path} is there already with something else in it: remove it, or choose another ")
        + "folder with --to."
    )


def _file_name(chat: Chat) -> str:
    """A name for any file system, which no other chat has: the title's words and the number."""
    words = "-".join(re.findall(r"\w+", unicodedata.normalize("NFC", clean(chat.name))))
    short = words.encode()[:_LONGEST_NAME].decode(errors="ignore").strip("-_")
    return f"{short or 'chat'}-{chat.id}"


def _facts(told: _Told) -> dict[str, Any]:
    chat = told.chat
    return {
        "id": chat.id,
        "title": chat.name,
        "messages": told.messages,
        "created": _iso(chat.created),
        "updated": _iso(chat.updated),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def _row(told: _Told) -> tuple[str, ...]:
    used = datetime.fromtimestamp(told.chat.updated).strftime("%Y-%m-%d %H:%M")
    return (str(told.chat.id), f"{told.messages:,}", used, _line(told.chat.name))


def _line(text: str) -> str:
    """Foreign text on one line, safe to show."""
    return " ".join(clean(text).split())


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        f"{number:>{widths[0]}}  {messages:>{widths[1]}}  {used:{widths[2]}}  {title}"
        for number, messages, used, title in rows
    ]
