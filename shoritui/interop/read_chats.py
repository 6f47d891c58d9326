"""Read chats from files: our own JSON, BlockML, logs of names, and what other programs keep.

Files of SillyTavern say what belongs together: a chat and its branches are one story, a group's
file names its chats, and a chat may have a lorebook:

    chats/Ada/The ferry.jsonl, Branch #2.jsonl      one story
    groups/1700000000000.json                       the chats of `group chats` that it names
    worlds/Harbour.json                             the lore of the chats that name it
"""

from __future__ import annotations

import codecs
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from shoritui.blockml import BLOCK_OPEN
from shoritui.bounded import read_json
from shoritui.errors import UserError
from shoritui.files import content_of
from shoritui.folders import user_path
from shoritui.interop.blockml_text import form_of_settings
from shoritui.interop.cards.lore import lore_of
from shoritui.interop.chat_json import chat_of_json
from shoritui.interop.chats import chat_of_otaku, chats_of_json, is_otaku
from shoritui.interop.read_blockml import chat_of_blockml, chat_of_log
from shoritui.interop.sillytavern import (
    Group,
    ReadChat,
    Story,
    group_of_sillytavern,
    is_sillytavern,
    read_sillytavern,
    stories_of_sillytavern,
)
from shoritui.story import WholeChat
from shoritui.text import clean, printable, size

Tell: TypeAlias = Callable[[str], object]
_LARGEST: Final = 256 << 20
"""Bytes of a file with a chat; a story of 10,000 messages takes some 10 MiB."""
_LARGEST_BOOK: Final = 64 << 20
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class ChatOfFiles:
    """A chat, and the files it was made of."""

    whole: WholeChat
    paths: tuple[Path, ...]


def read_chats(
    paths: Iterable[Path], tell: Tell, refuse: Callable[[UserError], object]
) -> list[ChatOfFiles]:
    """Return the chats in some files, each recognised by what it holds.

    Args:
        paths: The files; those of SillyTavern that belong together should be given together.
        tell: Is told in a sentence what was left out of a file.
        refuse: Is given what is wrong with a file that cannot be read, or holds no chat.
    """
    reader = _Reader(tell, refuse)
    for path in dict.fromkeys(paths):
        reader.read(path)
    return reader.chats()


class _Reader:
    """What was found in the files so far."""

    def __init__(self, tell: Tell, refuse: Callable[[UserError], object]) -> None:
        self._tell = tell
        self._refuse = refuse
        self._chats: list[ChatOfFiles] = []
        self._groups: dict[Path, Group] = {}
        self._lines: dict[Path, str] = {}
        """The texts of SillyTavern's chats."""

    def read(self, path: Path) -> None:
        """Read a file; what belongs to others waits until all are there."""
        try:
            text = self._text(path)
            if group := _group(text):  # on one line it would pass for a header
                self._groups[path] = group
            elif is_sillytavern(text):
                self._lines[path] = text
            else:
                for whole in _whole_chats(text, path, self._of(path)):
                    self._chats.append(ChatOfFiles(whole, (path,)))
        except UserError as error:
            self._refuse(_refused(path, error))

    def chats(self) -> list[ChatOfFiles]:
        """Return the chats, those of SillyTavern put together."""
        for path, group in self._groups.items():
            files = [file for name in group.chats if (file := self._beside(path, name))]
            if not files:
                error = UserError("it is a group, and no chat of it is in `group chats` beside it")
                self._refuse(_refused(path, error))
            self._join(files, group, path)
        folders: dict[Path, list[Path]] = defaultdict(list)
        for path in self._lines:
            folders[path.parent].append(path)
        for files in folders.values():
            self._join(files, None, None)
        return self._chats

    def _beside(self, group: Path, name: str) -> Path | None:
        """Return the file of a group's chat."""
        for folder in (group.parent.parent / "group chats", group.parent):
            file = folder / f"{name}.jsonl"
            if file in self._lines or os.path.isfile(file):  # noqa: PTH113  (a name too long raises)
                return file
        return None

    def _join(self, files: Sequence[Path], group: Group | None, source: Path | None) -> None:
        """Put together what belongs together of one folder's, or one group's, files."""
        read: list[ReadChat] = []
        by_name: dict[str, Path] = {}
        for path in files:
            name = path.stem if path.stem not in by_name else path.name
            try:
                text = self._lines.pop(path) if path in self._lines else self._text(path)
                read.append(read_sillytavern(text, name, self._of(path), group))
            except UserError as error:
                self._refuse(_refused(path, error))
            else:
                by_name[name] = path
        for story in stories_of_sillytavern(read):
            paths = tuple(by_name[name] for name in story.names)
            whole = self._with_books(story, paths[0])
            self._chats.append(ChatOfFiles(whole, (*paths, source) if source else paths))

    def _with_books(self, story: Story, path: Path) -> WholeChat:
        """Return a story with the lore of its lorebooks, which lie in `worlds`."""
        chat = story.whole.chat
        lore = dict.fromkeys(chat.scene.lore)
        for name in story.books:
            book = _book(path, name)
            if book is None:
                self._of(path)(
                    f"its lorebook {printable(name, 60)} is not in `worlds` beside it; "
                    "import it, and /lorebook takes it into the story."
                )
            lore.update(dict.fromkeys(lore_of(book or {})[0]))
        scene = replace(chat.scene, lore=tuple(lore))
        return replace(story.whole, chat=replace(chat, scene=scene))

    def _text(self, path: Path) -> str:
        return _text_of(path, self._of(path))

    def _of(self, path: Path) -> Tell:
        return lambda told: self._tell(f"{printable(path)}: {told}")


def _text_of(path: Path, tell: Tell) -> str:
    """Return the text of a file, as far as it is one.

    Raises:
        UserError: It cannot be read, or is no text.
    """
    try:
        content = _content(user_path(path), _LARGEST)
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be read: {error.strerror}.") from None
    with suppress(UnicodeDecodeError):
        return content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")
    text = content.decode("utf-8-sig", "replace")
    if not is_sillytavern(text):
        raise UserError(f"{printable(path)} is no text in UTF-8, so it holds no chat.")
    tell("some of it is not UTF-8, and became �.")
    return text


def _content(path: Path, most: int) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{printable(path)} is not a plain file, so it holds no chat.")
    if status.st_size > most:
        raise UserError(
            f"{printable(path)} has {size(status.st_size)}: a chat has at most {size(most)}."
        )
    return content_of(path)


def _refused(path: Path, error: UserError) -> UserError:
    reason = clean(str(error))
    if reason.startswith(printable(path)):
        return UserError(reason)
    return UserError(f"{printable(path)} was not imported: {reason.rstrip('.')}.")


def _group(text: str) -> Group | None:
    found = _parsed(text) if text.lstrip()[:1] == "{" and '"members"' in text else None
    return group_of_sillytavern(found) if isinstance(found, dict) else None


def _parsed(text: str) -> Any:
    """Return the JSON in a text; None if there is none."""
    with suppress(ValueError):
        return read_json(text)
    return None


def _book(path: Path, name: str) -> dict[str, Any] | None:
    """Return the lorebook of this name in `worlds`, for a chat in `chats/CARD` or `group chats`."""
    file = f"{name}.json"
    if Path(file).name != file or "\0" in file or "\\" in file:
        return None
    for folder in list(path.absolute().parents)[1:3]:
        with suppress(OSError, UserError, UnicodeDecodeError):
            text = _content(folder / "worlds" / file, _LARGEST_BOOK).decode("utf-8-sig")
            found = _parsed(text)
            return found if isinstance(found, dict) else None
    return None


def _whole_chats(text: str, path: Path, tell: Tell) -> Sequence[WholeChat]:
    """Return the chats in a text that is not SillyTavern's.

    Raises:
        UserError: It holds none.
    """
    if is_otaku(text):
        return [chat_of_otaku(text, path)]
    found, name = _parsed(text), path.stem
    if isinstance(found, dict) and "format" not in found:
        if isinstance(found.get("text"), str):
            return [chat_of_blockml(found["text"], name, form_of_settings())]
        if (chats := chats_of_json(found, path, tell)) is not None:
            if not chats:
                raise UserError("no message is in it")
            return chats
    if text.lstrip()[:1] == "{" and (found is None or "format" in found):
        return [chat_of_json(text)]
    if found is not None or text.strip() == "null":
        raise UserError("it is JSON, but no chat that is known here")
    form = form_of_settings()
    if (log := chat_of_log(text, name, form)) is not None:
        return [log]
    if text.strip() and BLOCK_OPEN not in text:
        raise UserError("it holds nothing that ShoriTUI knows")
    return [chat_of_blockml(text, name, form)]
