"""The KV store: blocks that were evaluated once come back from disk, over restarts.

    KVCache ──▶ KVStore: whole blocks of a sequence, by way of a scratch sequence
                   └──▶ KVFiles: one file a block, checked, the folder kept within a size

A file is named by the hash of all that its state depends on: the model, its adapters, and every
id up to the block's end. So no file is ever stale; it is found or it is not.
"""

from __future__ import annotations

import errno
import mmap
import os
import re
import stat
import struct
import time
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np

from shoritui.engine.cache.plan import Blocks
from shoritui.engine.cache.sequence import KVSequence
from shoritui.engine.llama.context import Context
from shoritui.files import UNFINISHED, whole_file

LEAST: Final = 32
"""Fewer ids than this are evaluated at once rather than looked for on disk."""
_MOST_WRITING: Final = 64 << 20
"""So many bytes may wait to be written before we wait for them."""

VERSION: Final = 1
"""Of the file format; it is part of a file's name, so that versions share a folder in peace."""

_MAGIC: Final = b"ShoriKV\n"
_HEADER: Final = struct.Struct("=8sI32sQQQ")
"""Magic, version, key, first position, number of ids, bytes of state: in this machine's byte order,
which makes a file from another kind of machine one of another version."""
_CHECKSUM: Final = struct.Struct("=I")
_NAME: Final = re.compile(r"([0-9a-f]{64})\.kv([0-9]+)")
_ABANDONED_NS: Final = 3600 * 10**9
"""An unfinished file that nobody wrote to for so long has lost its writer."""
_CHUNK: Final = 1 << 20
"""Bytes moved at a time: small enough to be in the processor's cache for the checksum."""

_LARGE: Final = 8 << 20
"""Bytes from which on memory is asked of the system in huge pages."""


@dataclass(frozen=True, slots=True)
class Record:
    """A block as it was saved; `state` is writable memory that belongs to this record alone."""

    ids: tuple[int, ...]
    begin: int
    state: memoryview


class Kept(NamedTuple):
    """A block that is on disk."""

    key: bytes
    """Names its file."""
    exact: bytes
    """The key of the same block evaluated behind exactly what stands before it."""
    is_shifted: bool
    """Whether it was evaluated behind something else."""


def root_key(*facts: str | bytes) -> bytes:
    """The key before a document's first block: all that its blocks' state depends on but the ids.

    The same facts in the same order give the same 32 bytes on every machine.
    """
    digest = blake2b(digest_size=32, person=b"shoritui kv root")
    for fact in facts:
        kind = b"s" if isinstance(fact, str) else b"b"
        data = fact.encode("utf-8", "surrogatepass") if isinstance(fact, str) else fact
        digest.update(kind + len(data).to_bytes(8, "little") + data)
    return digest.digest()


def next_key(key: bytes, ids: Sequence[int], *, shifted: bool = False) -> bytes:
    """The key of the block `ids` that follows the block (or root) `key`.

    A block that was moved to other positions after it was evaluated is another block than one
    evaluated in place, and so is everything after it: `shifted` tells them apart.
    """
    person = b"shoritui shifted" if shifted else b"shoritui kv next"
    digest = blake2b(key, digest_size=32, person=person)
    digest.update(array("i", ids).tobytes())
    return digest.digest()


class KVStore:
    """Restores and saves whole blocks of sequences by way of one scratch sequence."""

    def __init__(self, files: KVFiles, context: Context, scratch: int, *, shifted: bool) -> None:
        """`scratch` is empty otherwise; `shifted`: blocks evaluated behind others do too."""
        self._files = files
        self._context = context
        self._scratch = scratch
        self._logits_bytes = 4 * context.n_vocab
        self._shifted = shifted
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="kv-store")
        self._writing: dict[Future[None], int] = {}
        """What is being written, and its bytes."""

    def found(self, root: bytes, held: int, wanted: Blocks) -> dict[int, Kept]:
        """Return which of the wanted blocks that a sequence lacks which holds the first `held` ids
        are on disk, by their place. Blocks in a row that together gain too little are left out.

        The last block is the open one: it is on disk only with its logits.
        """
        if len(wanted) - held < LEAST:
            return {}
        self._settle()
        first = wanted.blocks_within(held)
        found: dict[int, Kept] = {}
        row, gained = dict[int, Kept](), 0
        for index, (exact, shifted) in enumerate(_keys(root, wanted)):
            kept = self._kept(exact, shifted, is_open=index == len(wanted.ends) - 1)
            if index < first or kept is None:
                row, gained = {}, 0
                continue
            row[index] = kept
            gained += wanted.ends[index] - max(wanted.begin(index), held)
            if gained >= LEAST:
                found |= row
                row = {}
        return found

    def load(self, wanted: Blocks, index: int, kept: Kept) -> memoryview | None:
        """Return the state of a wanted block; None if that is damaged, and so no longer on disk."""
        record = self._files.load(kept.key)
        if record is None:
            return None
        if (record.ids, record.begin) != (wanted.block(index), wanted.begin(index)):
            self._files.remove(kept.key)
            return None
        return record.state

    def restore(
        self, sequence: KVSequence, wanted: Blocks, index: int, kept: Kept, state: memoryview
    ) -> None:
        """Append a block to the sequence, which ends where that begins.

        A state that llama.cpp does not take is on disk no longer.
        """
        begin = len(sequence)
        is_open = index == len(wanted.ends) - 1
        logits = self._logits_bytes if is_open else 0
        if not self._append(sequence, state[logits:]):
            self._files.remove(kept.key)
            return
        sequence.held.ids.extend(wanted.block(index))
        sequence.held.ends.append(len(sequence))
        if kept.is_shifted and sequence.exact is None:
            sequence.exact = begin
        if is_open:
            sequence.remember(np.frombuffer(state[:logits], np.float32).copy())
        elif len(sequence.keys) == index:
            sequence.keys.append(kept.exact)

    def touch(self, sequence: KVSequence) -> None:
        """Mark a sequence's blocks as used now."""
        self._files.touch(sequence.keys)

    def save_next(self, sequences: Sequence[KVSequence]) -> bool:
        """Begin to save one block that is not on disk yet; False if there is none, or enough is
        being written already.

        The sequence's last block, and what is loose behind it, may still grow: it is left out.
        """
        if self.is_busy:
            return False
        for sequence in sequences:
            while len(sequence.keys) < len(sequence.held.ends) - 1:
                if self._save(sequence, len(sequence.keys)):
                    return True
        return False

    def save_prompt(self, sequence: KVSequence) -> None:
        """Save the sequence's open block with the logits behind it, if these are at hand.

        All blocks before it are on disk already. What is loose behind the block is left out.
        """
        index = len(sequence.held.ends) - 1
        if index < 0 or len(sequence.keys) < index:
            return
        if sequence.held.ends[index] not in sequence.snapshots:
            return
        key, block, begin, end = self._block(sequence, index)
        if not self._files.holds(_open(key)):
            logits = sequence.snapshots[end].astype(np.float32, copy=False)
            state = memoryview(bytearray(logits.tobytes() + self._state(sequence, begin, end)))
            self._write(_open(key), block, begin, state)

    @property
    def is_busy(self) -> bool:
        """Whether enough is being written."""
        for done in [future for future in self._writing if future.done()]:
            del self._writing[done]
        return sum(self._writing.values()) > _MOST_WRITING

    def _kept(self, exact: bytes, shifted: bytes, *, is_open: bool) -> Kept | None:
        for key, is_shifted in ((exact, False), (shifted, True))[: 1 + self._shifted]:
            known = _open(key) if is_open else key
            if self._files.holds(known):
                return Kept(known, exact, is_shifted)
        return None

    def _save(self, sequence: KVSequence, index: int) -> bool:
        before = sequence.keys[-1] if sequence.keys else sequence.root
        key, block, begin, end = self._block(sequence, index)
        sequence.keys.append(next_key(before, block))
        if not block or self._files.holds(key):
            return False
        self._write(key, block, begin, self._state(sequence, begin, end))
        return True

    def _block(self, sequence: KVSequence, index: int) -> tuple[bytes, tuple[int, ...], int, int]:
        """A block's key, ids, begin and end; the blocks before it have their keys."""
        before = sequence.keys[index - 1] if index else sequence.root
        held = sequence.held
        block, begin, end = held.block(index), held.begin(index), held.ends[index]
        is_shifted = sequence.exact is not None and end > sequence.exact
        return next_key(before, block, shifted=is_shifted), block, begin, end

    def _state(self, sequence: KVSequence, begin: int, end: int) -> memoryview:
        self._context.copy(sequence.id, self._scratch, begin, end)
        state = self._context.save(self._scratch)
        self._context.remove(self._scratch)
        return state

    def _write(self, key: bytes, block: tuple[int, ...], begin: int, state: memoryview) -> None:
        written = self._writer.submit(self._files.save, key, block, begin, state)
        self._writing[written] = len(state)

    def _settle(self) -> None:
        """The files take one thread at a time: wait until everything is written."""
        wait(self._writing)

    def _append(self, sequence: KVSequence, state: memoryview) -> bool:
        restored = self._context.restore(self._scratch, state)
        if restored:
            self._context.copy(self._scratch, sequence.id)
        self._context.remove(self._scratch)
        return restored


def _keys(root: bytes, blocks: Blocks) -> Iterator[tuple[bytes, bytes]]:
    """For each block its key, and that of the same block behind a past that was dropped."""
    key = root
    for index in range(len(blocks.ends)):
        block = blocks.block(index)
        shifted = next_key(key, block, shifted=True)
        key = next_key(key, block)
        yield key, shifted


def _open(key: bytes) -> bytes:
    """The key under which a block is kept as the open end of a prompt, with its logits."""
    return root_key("open", key)


class KVFiles:
    """The records of one folder, which several processes may share; used by one thread at a time.

    Losing a record only costs time. So nothing here raises when the disk or a file is at fault:
    what cannot be read is not there, and what cannot be written turns saving off.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Reads the folder's list once; what was left unfinished an hour ago is removed."""
        self.problem = ""
        """Why nothing is saved any more in this run, one sentence; "" while all is well."""
        self._folder = folder
        self._limit = limit_bytes
        self._share = limit_bytes // 32
        """Room made at a time; other processes may pass the limit by so much before we look."""
        self._room = 0
        """Bytes that may be written before the folder is looked at again."""
        self._held: set[bytes] = set()
        try:
            self._make_folder()
            self._look()
        except OSError as error:
            self.problem = self._sentence(error)

    def holds(self, key: bytes) -> bool:
        """Whether there was a record of `key` when the folder was last looked at."""
        return key in self._held

    def load(self, key: bytes) -> Record | None:
        """The record of `key`, marked as used; None, and its file removed, if it is not whole.

        The checksum notices what crashes, power cuts and bad disks do to a file. It is no
        protection from somebody who forges one: the folder is its owner's alone.
        """
        path = self._path(key)
        try:
            record = _read(path, key, self._limit)
        except FileNotFoundError:
            self._held.discard(key)
            return None
        except (OSError, ValueError, MemoryError, struct.error):
            self.remove(key)
            return None
        self._held.add(key)
        self.touch((key,))
        return record

    def remove(self, key: bytes) -> None:
        """Give a record up: it is saved anew when it is at hand again."""
        self._held.discard(key)
        with suppress(OSError):
            self._path(key).unlink()

    def save(
        self, key: bytes, ids: Sequence[int], begin: int, state: bytes | bytearray | memoryview
    ) -> None:
        """Write a record, after making room for it; one that is there is only marked as used.

        `begin` is the position of the first id, `state` any flat memory. Nothing is written
        if it is larger than the limit, or once there is a `problem`.
        """
        if self.problem or (key in self._held and self.touch((key,))):
            return
        view = memoryview(state)
        size = _HEADER.size + 4 * len(ids) + view.nbytes + _CHECKSUM.size
        if size > self._limit:
            return
        try:
            self._make_folder()
            if size > self._room:
                self._make_room(max(size, self._share))
            if size <= self._room:
                self._write(key, array("i", ids), begin, view)
                self._room -= size
                self._held.add(key)
        except OSError as error:
            self.problem = self._sentence(error)

    def touch(self, keys: Sequence[bytes]) -> bool:
        """Mark the blocks of a document as used now, in its order; False if one is not there.

        What follows a lost block is worthless, so the first is marked as the newest: when room is
        needed, a document goes from its end.
        """
        complete = True
        for key in reversed(keys):
            used = time.time_ns()  # finer than the system's own clock for files
            try:
                os.utime(self._path(key), ns=(used, used))
            except FileNotFoundError:
                self._held.discard(key)
                complete = False
            except OSError:  # a folder that may only be read serves as it is
                pass
        return complete

    def _path(self, key: bytes) -> Path:
        return self._folder / f"{key.hex()}.kv{VERSION}"

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _look(self) -> None:
        """Learn what is held, and remove what was never finished."""
        now = time.time_ns()
        for entry in self._files():
            match = _NAME.fullmatch(entry.name)
            if match:
                self._note(match)
                continue
            with suppress(OSError):  # its writer may be finishing it now
                if abs(now - entry.stat(follow_symlinks=False).st_mtime_ns) > _ABANDONED_NS:
                    Path(entry.path).unlink()

    def _make_room(self, room: int) -> None:
        """Look again; remove what was used longest ago until `room` bytes are free."""
        total = 0
        records: list[tuple[int, int, re.Match[str]]] = []
        for entry in self._files():
            with suppress(FileNotFoundError):  # another process may remove it meanwhile
                status = entry.stat(follow_symlinks=False)
                total += status.st_size
                if match := _NAME.fullmatch(entry.name):
                    records.append((status.st_mtime_ns, status.st_size, match))
        records.sort(key=lambda record: record[0], reverse=True)
        while records and total + room > self._limit:
            _, size, match = records.pop()
            (self._folder / match.string).unlink(missing_ok=True)
            total -= size
        self._held.clear()
        for _, _, match in records:
            self._note(match)
        self._room = min(self._limit - total, room)

    def _note(self, match: re.Match[str]) -> None:
        if match[2] == str(VERSION):
            self._held.add(bytes.fromhex(match[1]))

    def _files(self) -> Iterator[os.DirEntry[str]]:
        """The files that are ours by name: records of any version, and unfinished ones."""
        with os.scandir(self._folder) as entries:
            for entry in entries:
                ours = _NAME.fullmatch(entry.name) or UNFINISHED.fullmatch(entry.name)
                if ours and entry.is_file(follow_symlinks=False):
                    yield entry

    def _write(self, key: bytes, ids: array[int], begin: int, state: memoryview) -> None:
        # The checksum tells what a power cut leaves, so nothing waits for the disk.
        with whole_file(self._path(key), synced=False) as unfinished:
            with unfinished.open("wb") as file:
                header = _HEADER.pack(_MAGIC, VERSION, key, begin, len(ids), state.nbytes)
                pieces: list[bytes | memoryview] = [header, ids.tobytes(), *_pieces(state)]
                checksum = 0
                for piece in pieces:
                    checksum = crc32(piece, checksum)
                    file.write(piece)
                file.write(_CHECKSUM.pack(checksum))
            used = time.time_ns()
            os.utime(unfinished, ns=(used, used))

    def _sentence(self, error: OSError) -> str:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            cause = f"There is no room left on the disk of {self._folder}"
        else:
            cause = f"{self._folder} cannot be written ({error.strerror})"
        return f"{cause}, so chats that are reopened later will be evaluated anew."


def _pieces(state: memoryview) -> Iterator[memoryview]:
    items = max(_CHUNK // state.itemsize, 1)
    for begin in range(0, len(state), items):
        yield state[begin : begin + items]


def _read(path: Path, key: bytes, limit: int) -> Record:
    """What is in a file; OSError or ValueError if that is not a whole record of `key`."""
    with open(path, "rb", buffering=0, opener=_open_plainly) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not _HEADER.size <= status.st_size <= limit:
            raise ValueError("no record")
        header = file.read(_HEADER.size)
        magic, version, named, begin, count, length = _HEADER.unpack(header)
        if (magic, version, named) != (_MAGIC, VERSION, key):
            raise ValueError("another record")
        if status.st_size != _HEADER.size + 4 * count + length + _CHECKSUM.size:
            raise ValueError("not of the length that it says")
        content = _memory(4 * count + length)
        if _fill(file, content, crc32(header)) != file.read(_CHECKSUM.size):
            raise ValueError("not what was written")
    ids = array("i", bytes(content[: 4 * count]))
    return Record(tuple(ids), begin, content[4 * count :])


def _memory(length: int) -> memoryview:
    """Writable memory; in huge pages, as filling small ones takes longer than reading the file."""
    if length < _LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return memoryview(bytearray(length))
    pages = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a system may know them and have none
        pages.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(pages)


def _open_plainly(name: str, flags: int) -> int:
    """Neither follows a link nor waits for whoever writes to a pipe."""
    return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _fill(file: FileIO, content: memoryview, checksum: int) -> bytes:
    """Read until `content` is full; the checksum as it should follow."""
    done = 0
    while done < len(content):
        piece = content[done : done + _CHUNK]
        count = file.readinto(piece)
        if not count:
            raise ValueError("ends early")
        checksum = crc32(piece[:count], checksum)
        done += count
    return _CHECKSUM.pack(checksum)
