"""What was imported, when, and what it became: one line of JSON each, in `imports.jsonl`.

{"batch":"1764554400-5f1c","at":1764554400.2,"source":"/st/characters/Orla.png","digest":"9f…",
 "kind":"card","name":"Orla","made":[{"file":"/…/characters/orla.toml","digest":"02…"}]}

The file lies beside the library. Lines are only ever added: an import that is taken back has one
more, with `undone`.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from shoritui.errors import UserError
from shoritui.files import content_of, open_file, open_to_append, why
from shoritui.story import Library, is_busy, locked
from shoritui.text import encodable, printable


@contextmanager
def alone(library: Library) -> Iterator[None]:
    """Keep every other import into a library out, in whatever window, while the block runs.

    Raises:
        UserError: Another one is under way, or the lock's file cannot be made or is none.
    """
    file = library.path.with_name("imports.lock")
    try:
        # To close a file that this process has locked would let go of the lock.
        lock = locked(file, create=not file.exists())
    except sqlite3.Error as error:
        if is_busy(error):
            raise UserError(
                "Another import is under way in this library: wait for its end, or stop it there."
            ) from None
        raise UserError(
            f"{printable(file)} cannot be used as the lock of imports: move it away."
        ) from None
    except FileNotFoundError:
        raise UserError(f"{printable(file)} is a link that leads nowhere: move it away.") from None
    except OSError as error:
        raise UserError(f"{printable(file)} cannot be written: {why(error)}.") from None
    with closing(lock):
        yield


class Made(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file or a chat that an import has made."""

    file: str = ""
    digest: str = ""
    """Of the file as it was made."""
    chat: int = 0
    created: float = 0
    """When the chat was begun; an older library in this one's place may have others' numbers."""


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one file; or, if `undone`, that a whole import was taken back."""

    batch: str
    """Which import it was."""
    at: float = 0
    source: str = ""
    digest: str = ""
    """Of the file that was imported."""
    kind: str = ""
    name: str = ""
    made: tuple[Made, ...] = ()
    undone: bool = False


class Journal:
    """The imports into one library."""

    def __init__(self, library: Library) -> None:
        """Read the file, which need not be there; lines that are broken are passed over."""
        self._path = library.path.with_name("imports.jsonl")
        self.folder = library.path.parent
        self._chats = {(each.id, each.created) for each in library.summaries()}
        self._records: list[Record] = []
        self.batch = f"{time.time():.0f}-{os.urandom(3).hex()}"
        """What the import is called that is begun now."""
        try:
            lines = content_of(self._path).splitlines() if self._path.exists() else []
        except OSError as error:
            raise UserError(f"{printable(self._path)} cannot be read: {why(error)}.") from None
        decoder = msgspec.json.Decoder(Record)
        for line in lines:
            try:
                self._records.append(decoder.decode(line))
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                continue
        self._by_digest: dict[str, list[Record]] = {}
        self._by_source: dict[str, Record] = {}
        for record in self._records:
            self._index(record)

    def add(self, source: Path, digest: str, kind: str, name: str, made: Iterable[Made]) -> Record:
        """Write down what a file became.

        Raises:
            UserError: The journal cannot be written.
        """
        record = Record(self.batch, time.time(), _place(source), digest, kind, name, tuple(made))
        self._write(record)
        self._chats |= {(each.chat, each.created) for each in record.made if each.chat}
        return record

    def mark_undone(self, batch: str) -> None:
        """Write down that an import was taken back."""
        self._write(Record(batch, time.time(), undone=True))

    def here(self, digest: str) -> Record | None:
        """Return what a file of this content became, if any of that is still there."""
        for record in reversed(self._by_digest.get(digest, [])):
            # Of files, the first is what the others were kept beside.
            main = record.made[:1] if record.made[0].file else record.made
            if any(map(self._is_there, main)):
                return record
        return None

    def made_of(self, source: Path) -> Path | None:
        """Return the file that was made of another one last, if it is still there."""
        record = self._by_source.get(_place(source))
        files = [Path(each.file) for each in record.made if each.file] if record else []
        return next((file for file in files if file.is_file()), None)

    def sources_in(self, folder: Path) -> list[Path]:
        """Return the files of a folder that something was made of."""
        sources = map(Path, self._by_source)
        return sorted(source for source in sources if source.parent == folder)

    def last(self) -> list[Record]:
        """Return the records of the last import that was not taken back."""
        undone = {record.batch for record in self._records if record.undone}
        left = [each for each in self._records if each.batch not in undone]
        return [each for each in left if each.batch == left[-1].batch]

    def _is_there(self, made: Made) -> bool:
        if made.chat:
            return (made.chat, made.created) in self._chats
        return Path(made.file).is_file()

    def _index(self, record: Record) -> None:
        if record.made:
            self._by_digest.setdefault(record.digest, []).append(record)
            self._by_source[record.source] = record

    def _write(self, record: Record) -> None:
        line = msgspec.json.encode(record) + b"\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open_to_append(self._path) as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    # A power cut may have come before the end of the last line.
                    line = line if file.read(1) == b"\n" else b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(f"{printable(self._path)} cannot be written: {why(error)}.") from None
        self._records.append(record)
        self._index(record)


def _place(source: Path) -> str:
    """Return where a file is, as JSON holds it: bytes that are no text are question marks."""
    return encodable(str(source.absolute()))


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's content.

    Raises:
        OSError: It cannot be read.
    """
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
