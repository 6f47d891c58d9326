"""The ids of every text the engine has met: nothing is tokenised twice, generated ids stay.

    text ──▶ TokenCache (memory) ──▶ TokenStore (SQLite) ──▶ the model's tokenizer

The model may write a text with other tokens than the tokenizer would. Such a text keeps the ids
that it was generated with, over restarts too: what was evaluated then serves again.
"""

from __future__ import annotations

import sqlite3
import time
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final
from zlib import crc32

from shoritui.engine.llama.model import Model
from shoritui.files import open_to_append

CAPACITY: Final = 20_000
"""Texts held in memory; far more than one chat has blocks."""
VERSION: Final = 1
"""Of the file on disk, whose table is named `spellings`."""
ROWS: Final = 200_000
"""Texts kept, of all vocabularies together: some 30 MB."""

_PATIENCE: Final = 0.5
"""Seconds to wait for another process that is writing; after that a text is not kept."""
_ATTEMPTS: Final = 3
_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS spellings (
        text BLOB PRIMARY KEY,
        ids BLOB NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID
"""
_GET: Final = "SELECT ids FROM spellings WHERE text = ?"
_KEEP: Final = "INSERT OR REPLACE INTO spellings (text, ids, used) VALUES (?, ?, ?)"
_USE: Final = "UPDATE spellings SET used = ? WHERE text = ?"
_TRIM: Final = """
    DELETE FROM spellings WHERE text IN (SELECT text FROM spellings ORDER BY used LIMIT ?)
"""


class TokenCache:
    """Turns texts into ids, exactly as the whole prompt would be tokenised."""

    def __init__(self, model: Model, store: TokenStore) -> None:
        """`store`: where ids that were generated stay known over restarts."""
        self._model = model
        self._store = store
        self._known: OrderedDict[tuple[str, bool], tuple[int, ...]] = OrderedDict()
        self._latest = ""
        """A text that may be growing, word by word."""

    def ids(self, text: str, *, first: bool = False) -> tuple[int, ...]:
        """The ids of one segment; the first one of a document also carries what begins a prompt."""
        key = (text, first)
        ids = self._known.get(key)
        if ids is None:
            ids = self._store.get(text, first) or self._tokenize(text, first)
        self._remember(key, ids)
        return ids

    def document(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """The ids of a whole prompt, block by block."""
        return [self.ids(text, first=index == 0) for index, text in enumerate(texts)]

    def keep(self, text: str, ids: Sequence[int], *, first: bool = False) -> None:
        """From now on `text` has these ids: those that were generated, however they split it."""
        if tuple(ids) != self.ids(text, first=first):
            self._store.keep(text, first, tuple(ids))
        self._remember((text, first), tuple(ids))

    def _tokenize(self, text: str, first: bool) -> tuple[int, ...]:
        if not first:
            return self._grown(text) or tuple(self._model.tokenize(text))
        begin = () if self._model.bos is None else (self._model.bos,)
        prefix = " " if self._model.space_prefix else ""
        return (*begin, *self._model.tokenize(prefix + text))

    def _grown(self, text: str) -> tuple[int, ...] | None:
        """The ids of a text that begins with the one before and goes on with a space.

        There a cut changes no token, where block marks are tokens of their own.
        """
        before, self._latest = self._latest, text
        known = self._known.get((before, False))
        grows = text.startswith(before + " ") and not before.endswith(" ")
        if not before or known is None or not grows or not self._model.block_tokens:
            return None
        return (*known, *self._model.tokenize(text[len(before) :]))

    def _remember(self, key: tuple[str, bool], ids: tuple[int, ...]) -> None:
        self._known[key] = ids
        self._known.move_to_end(key)
        if len(self._known) > CAPACITY:
            self._known.popitem(last=False)


class TokenStore:
    """One SQLite file, which several processes may share; used by one thread at a time.

    Losing a text only costs the evaluation of what follows it. So nothing here raises when the
    disk or the file is at fault: a broken file is set aside and a new one begun, and where no
    file can be had, memory serves for this run.
    """

    def __init__(self, path: Path | None, vocabulary: bytes, *, rows: int = ROWS) -> None:
        """`vocabulary` names the tokenizer; None for `path` keeps everything in memory."""
        self._path = path
        self._rows = rows
        self._keys = blake2b(vocabulary, digest_size=16, person=b"shoritui words")
        self._used: dict[bytes, int] = {}
        """What was asked for since the last write, and when."""
        self._unseen = 0
        """Texts that may be kept before the rows are counted again."""
        self._connection, self._known = self._opened()

    def get(self, text: str, first: bool) -> tuple[int, ...] | None:
        """The ids kept for `text`; `first` if it begins a document."""
        key = self._key(text, first)
        if key not in self._known:  # most texts are not, and asking the file takes longer
            return None
        try:
            row = self._connection.execute(_GET, (key,)).fetchone()
        except sqlite3.Error as error:
            self._recover(error)
            return None
        ids = None if row is None else _unpacked(key, row[0])
        if ids is not None:
            self._used[key] = time.time_ns()
        return ids

    def keep(self, text: str, first: bool, ids: Sequence[int]) -> None:
        """From now on `text` has these ids, for this process and those that come after it."""
        key = self._key(text, first)
        try:
            self._write(key, _packed(key, ids))
        except sqlite3.Error as error:
            if self._recover(error):
                with suppress(sqlite3.Error):
                    self._write(key, _packed(key, ids))

    def close(self) -> None:
        """Write down what was used, and close the file."""
        with suppress(sqlite3.Error):
            self._write_use()
        with suppress(sqlite3.Error):
            self._connection.close()

    def _key(self, text: str, first: bool) -> bytes:
        digest = self._keys.copy()
        digest.update((b"\1" if first else b"\0") + text.encode("utf-8", "surrogatepass"))
        return digest.digest()

    def _write(self, key: bytes, ids: bytes) -> None:
        self._write_use()
        if self._unseen == 0:
            self._trim()
        self._connection.execute(_KEEP, (key, ids, time.time_ns()))
        self._known.add(key)
        self._unseen -= 1

    def _write_use(self) -> None:
        if not self._used:
            return
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(_USE, [(used, key) for key, used in self._used.items()])
        self._used.clear()

    def _trim(self) -> None:
        """Make room for some more rows, so that they need not be counted each time."""
        room = max(self._rows // 100, 1)
        (count,) = self._connection.execute("SELECT count(*) FROM spellings").fetchone()
        if count + room > self._rows:
            self._connection.execute(_TRIM, (count + room - self._rows,))
        self._unseen = room

    def _opened(self) -> tuple[sqlite3.Connection, set[bytes]]:
        """The file; a new one where it is broken or another's; memory where there can be none."""
        if self._path is not None:
            for _ in range(_ATTEMPTS):
                try:
                    return _connected(self._path)
                except sqlite3.Error as error:
                    if _is_broken(error):
                        _set_aside(self._path)
                    else:
                        time.sleep(_PATIENCE / 10)  # two that make one file get in each other's way
                except OSError:
                    break
        return _prepared(sqlite3.connect(":memory:", isolation_level=None))

    def _recover(self, error: sqlite3.Error) -> bool:
        """After a failure in use: whether there is another file now."""
        self._used.clear()
        if not _is_broken(error):
            return False
        with suppress(sqlite3.Error):
            self._connection.close()
        if self._path is not None:
            _set_aside(self._path)
        self._connection, self._known = self._opened()
        self._unseen = 0
        return True


def _connected(path: Path) -> tuple[sqlite3.Connection, set[bytes]]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made private here; SQLite gives its companions the same mode.
    open_to_append(path).close()
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version != VERSION and (version or tables):
            raise _Foreign
        connection.execute("PRAGMA journal_mode = WAL")
        # A commit survives this process; one that a power cut takes may be lost.
        connection.execute("PRAGMA synchronous = NORMAL")
        return _prepared(connection)
    except BaseException:
        connection.close()
        raise


def _prepared(connection: sqlite3.Connection) -> tuple[sqlite3.Connection, set[bytes]]:
    """With its table, and the keys in it."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_TABLE)
        connection.execute("CREATE INDEX IF NOT EXISTS by_use ON spellings (used)")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    return connection, {key for (key,) in connection.execute("SELECT text FROM spellings")}


class _Foreign(sqlite3.DatabaseError):
    """A file of another version or another program."""


def _is_broken(error: sqlite3.Error) -> bool:
    """Whether the file is at fault, and not the disk, its rights or another process."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    faults = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)
    # Alone, without a reason in its upper bytes, READONLY is what a header says that was damaged:
    # the file itself could be opened for writing.
    read_only = code == sqlite3.SQLITE_READONLY
    return isinstance(error, _Foreign) or code & 0xFF in faults or read_only


def _set_aside(path: Path) -> None:
    """Keep one broken file for whoever wants to look; its companions are worth nothing alone."""
    with suppress(OSError):
        path.replace(path.with_name(path.name + ".broken"))
    for companion in ("-wal", "-shm"):
        with suppress(OSError):
            path.with_name(path.name + companion).unlink()


def _packed(key: bytes, ids: Sequence[int]) -> bytes:
    """The ids and a checksum: SQLite does not notice when a disk changes a row's content."""
    data = array("i", ids).tobytes()
    return data + crc32(key + data).to_bytes(4, "little")


def _unpacked(key: bytes, packed: object) -> tuple[int, ...] | None:
    if not isinstance(packed, bytes) or len(packed) % 4:
        return None
    data = packed[:-4]
    if crc32(key + data).to_bytes(4, "little") != packed[-4:]:
        return None
    return tuple(array("i", data))
