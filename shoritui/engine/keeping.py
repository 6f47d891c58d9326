"""Between the KV cache and the journal: blocks that were evaluated once come back from disk.

It does not know when; `cache.py` asks for what it lacks, `runtime.py` saves in idle moments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

import numpy as np

from shoritui.engine.context import Context
from shoritui.engine.journal import Journal, next_key, root_key
from shoritui.engine.line import Line
from shoritui.engine.plan import Blocks

LEAST: Final = 32
"""Fewer ids than this are evaluated at once rather than looked for on disk."""
_MOST_WRITING: Final = 64 << 20
"""So many bytes may wait to be written before we wait for them."""


class Keeper:
    """Restores and saves whole blocks of lines by way of one scratch sequence."""

    def __init__(self, journal: Journal, context: Context, scratch: int, *, shifted: bool) -> None:
        """`scratch` is a sequence that is empty otherwise.

        `shifted`: blocks that were evaluated behind others than now will do too.
        """
        self._journal = journal
        self._context = context
        self._scratch = scratch
        self._logits_bytes = 4 * context.n_vocab
        self._shifted = shifted
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._writing: dict[Future[None], int] = {}
        """What is being written, and its bytes."""

    def found(self, line: Line, wanted: Blocks) -> list[bytes]:
        """The keys of the wanted blocks from the first on that `line` lacks, as far as they are
        on disk; none if that gains too little. The last block is the open one: it is on disk only
        with its logits."""
        first = wanted.blocks_within(len(line))
        if len(wanted) - len(line) < LEAST:
            return []
        self._settle()
        found: list[bytes] = []
        for index, (exact, shifted) in enumerate(_keys(line.root, wanted)):
            if index < first:
                continue
            is_open = index == len(wanted.ends) - 1
            keys = (exact, shifted) if self._shifted else (exact,)
            known = map(_open, keys) if is_open else keys
            held = next((key for key in known if self._journal.holds(key)), None)
            if held is None:
                break
            found.append(held)
        gained = wanted.begin(first + len(found)) - len(line)
        return found if gained >= LEAST else []

    def restore(self, line: Line, wanted: Blocks, keys: Sequence[bytes]) -> None:
        """Append these blocks to the line, which ends where the first of them begins."""
        self._settle()
        first = len(line.held.ends)
        exact = [key for key, _ in _keys(line.root, wanted)]
        line.keys[:] = line.keys[:first]
        for index, key in enumerate(keys, first):
            block, begin = wanted.block(index), len(line)
            record = self._journal.load(key)
            if record is None or record.ids != block or record.begin != begin:
                return
            is_open = index == len(wanted.ends) - 1
            logits = self._logits_bytes if is_open else 0
            if not self._append(line, record.state[logits:]):
                return
            line.held.ids.extend(block)
            line.held.ends.append(len(line))
            if key not in (exact[index], _open(exact[index])) and line.exact is None:
                line.exact = begin
            if is_open:
                line.remember(np.frombuffer(record.state[:logits], np.float32).copy())
            elif len(line.keys) == index:
                line.keys.append(exact[index])
        self._journal.touch(line.keys)

    def save_next(self, lines: Sequence[Line]) -> bool:
        """Begin to save one block that is not on disk yet; False if there is none, or enough is
        being written already.

        The line's last block, and what is loose behind it, may still grow: it is left out.
        """
        if self.is_busy:
            return False
        for line in lines:
            while len(line.keys) < len(line.held.ends) - 1:
                if self._save(line, len(line.keys)):
                    return True
        return False

    def save_prompt(self, line: Line) -> None:
        """Save the line's open block with the logits behind it, if these are at hand.

        All blocks before it are on disk already. What is loose behind the block is left out.
        """
        index = len(line.held.ends) - 1
        if index < 0 or len(line.keys) < index or line.held.ends[index] not in line.snapshots:
            return
        key, block, begin, end = self._block(line, index)
        if not self._journal.holds(_open(key)):
            logits = line.snapshots[end].astype(np.float32, copy=False)
            state = memoryview(bytearray(logits.tobytes() + self._state(line, begin, end)))
            self._write(_open(key), block, begin, state)

    @property
    def is_busy(self) -> bool:
        """Whether enough is being written."""
        for done in [future for future in self._writing if future.done()]:
            del self._writing[done]
        return sum(self._writing.values()) > _MOST_WRITING

    def _save(self, line: Line, index: int) -> bool:
        before = line.keys[-1] if line.keys else line.root
        key, block, begin, end = self._block(line, index)
        line.keys.append(next_key(before, block))
        if not block or self._journal.holds(key):
            return False
        self._write(key, block, begin, self._state(line, begin, end))
        return True

    def _block(self, line: Line, index: int) -> tuple[bytes, tuple[int, ...], int, int]:
        """A block's key, ids, begin and end; the blocks before it have their keys."""
        before = line.keys[index - 1] if index else line.root
        block, begin, end = line.held.block(index), line.held.begin(index), line.held.ends[index]
        is_shifted = line.exact is not None and end > line.exact
        return next_key(before, block, shifted=is_shifted), block, begin, end

    def _state(self, line: Line, begin: int, end: int) -> memoryview:
        self._context.copy(line.seq, self._scratch, begin, end)
        state = self._context.save(self._scratch)
        self._context.remove(self._scratch)
        return state

    def _write(self, key: bytes, block: tuple[int, ...], begin: int, state: memoryview) -> None:
        written = self._writer.submit(self._journal.save, key, block, begin, state)
        self._writing[written] = len(state)

    def _settle(self) -> None:
        """The journal takes one thread at a time: wait until everything is written."""
        wait(self._writing)

    def _append(self, line: Line, state: memoryview) -> bool:
        restored = self._context.restore(self._scratch, state)
        if restored:
            self._context.copy(self._scratch, line.seq)
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
