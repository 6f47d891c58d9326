"""A context of llama.cpp: KV cells, evaluation, logits, adapters, and a flag that ends it early."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.interface import KVType
from shoritui.engine.llama.library import L
from shoritui.engine.llama.model import Model

Decoded = Literal["done", "full", "aborted"]
_DECODED: Final[dict[int, Decoded]] = {0: "done", 1: "full", 2: "aborted"}
_KV_TYPES: Final[dict[KVType, int]] = {
    "f16": L.GGML_TYPE_F16,
    "q8_0": L.GGML_TYPE_Q8_0,
    "q4_0": L.GGML_TYPE_Q4_0,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A token at a position of one or more sequences."""

    token: int
    position: int
    seqs: tuple[int, ...]


class AbortFlag:
    """Ends a running evaluation from another thread.

    llama.cpp asks its callback at every node of the graph. The callback is the C library's `strlen`
    over one byte: the flag is the byte, and no node ever waits for Python's lock.
    """

    def __init__(self) -> None:
        self._byte = ctypes.create_string_buffer(2)
        library = ctypes.cdll.msvcrt if sys.platform == "win32" else ctypes.CDLL(None)
        self.callback = ctypes.cast(library.strlen, L.ggml_abort_callback)
        self.address = ctypes.addressof(self._byte)

    def set(self, value: bool) -> None:
        """Raise or lower the flag; any thread may."""
        self._byte[0] = b"\1" if value else b"\0"

    def is_set(self) -> bool:
        """Whether the flag is up."""
        return self._byte[0] != b"\0"


class Context:
    """KV cells that several sequences share, and the logits after the last token evaluated."""

    def __init__(
        self,
        model: Model,
        *,
        n_cells: int,
        n_batch: int,
        n_threads: int,
        abort: AbortFlag,
        n_seq_max: int = 1,
        kv_type: KVType = "f16",
    ) -> None:
        """Allocate; `MemoryError` if there is not enough."""
        params = L.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_cells, n_batch, n_batch
        params.n_threads = params.n_threads_batch = n_threads
        params.n_seq_max, params.kv_unified = n_seq_max, True
        params.type_k = params.type_v = _KV_TYPES[kv_type]
        self.handle = L.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise MemoryError(n_cells)
        self._abort = abort
        L.llama_set_abort_callback(self.handle, abort.callback, abort.address)
        self._memory = L.llama_get_memory(self.handle)
        self.n_cells: Final[int] = L.llama_n_ctx(self.handle)
        self.n_batch: Final = n_batch
        self.can_shift: Final = bool(L.llama_memory_can_shift(self._memory))
        self.can_go_back: Final = not model.is_recurrent
        """Whether the end of a sequence can be removed, and what stands before it stays."""
        self.n_vocab: Final = model.n_vocab
        self._row = ctypes.c_float * model.n_vocab
        self._last_address, self._last = 0, np.empty(0, np.float32)
        self._batch = _Batch(max(n_batch, n_seq_max), n_seq_max)
        self._one = _BatchOfOne()

    def decode(self, ids: Sequence[int], *, seq: int, begin: int) -> Decoded:
        """Evaluate up to `n_batch` ids of a sequence from position `begin` on.

        Afterwards the logits are those of the last id. Whatever is not `done` leaves the sequence
        as `end` tells. Not to be aborted while keys wait to be turned: see `turning`.
        """
        return self._decode(self._batch.of_sequence(ids, seq, begin))

    def decode_one(self, token: int, seq: int, begin: int) -> Decoded:
        """As `decode` does, for a single id, with less ado."""
        status = L.llama_decode(self.handle, self._one.filled(token, seq, begin))
        return "done" if status == 0 else self._judged(status)

    @contextmanager
    def turning(self) -> Iterator[None]:
        """Evaluate meanwhile without listening to the abort flag.

        llama.cpp turns keys that were moved at the start of the next evaluation. If that is
        aborted, some layers are turned, and all of them are turned again the next time.
        """
        L.llama_set_abort_callback(self.handle, L.ggml_abort_callback(), None)
        try:
            yield
        finally:
            L.llama_set_abort_callback(self.handle, self._abort.callback, self._abort.address)

    def decode_rows(self, rows: Sequence[Row]) -> NDArray[np.float32] | None:
        """Evaluate single tokens, each for its sequences; their logits row by row, copied.

        None if there was no room or it was aborted.
        """
        if self._decode(self._batch.of_rows(rows)) != "done":
            return None
        return np.stack(
            [self._scores_at(self._address(index)).copy() for index in range(len(rows))]
        )

    def _decode(self, batch: Any) -> Decoded:
        return self._judged(L.llama_decode(self.handle, batch))

    def _judged(self, status: int) -> Decoded:
        if status not in _DECODED:
            raise RuntimeError(f"llama_decode returned {status}")
        return _DECODED[status]

    def synchronize(self) -> None:
        """Wait until what was asked for is computed; a GPU works behind our back."""
        L.llama_synchronize(self.handle)

    def logits(self) -> NDArray[np.float32]:
        """The scores of all tokens after the last one evaluated, valid until the next `decode`."""
        address = self._address(-1)
        if address != self._last_address:  # mostly they are where they were
            self._last_address, self._last = address, self._scores_at(address)
        return self._last

    def _address(self, index: int) -> int:
        return ctypes.addressof(L.llama_get_logits_ith(self.handle, index).contents)

    def _scores_at(self, address: int) -> NDArray[np.float32]:
        values: NDArray[np.float32] = np.asarray(self._row.from_address(address))
        return values

    def end(self, seq: int) -> int:
        """How many leading positions of a sequence really are in the cache."""
        return int(L.llama_memory_seq_pos_max(self._memory, seq)) + 1

    def remove(self, seq: int, begin: int = 0, end: int = -1) -> bool:
        """Forget positions [begin, end) of a sequence; False if this kind of model cannot."""
        return bool(L.llama_memory_seq_rm(self._memory, seq, begin, end))

    def copy(self, source: int, target: int, begin: int = 0, end: int = -1) -> None:
        """Let `target` share the cells of positions [begin, end) of `source`."""
        L.llama_memory_seq_cp(self._memory, source, target, begin, end)

    def shift(self, seq: int, begin: int, by: int) -> None:
        """Move positions from `begin` on; the keys are turned at the next `decode`."""
        L.llama_memory_seq_add(self._memory, seq, begin, -1, by)

    def save(self, seq: int) -> memoryview:
        """The state of a sequence, to be restored where everything that made it is the same."""
        size = L.llama_state_seq_get_size(self.handle, seq)
        buffer = (ctypes.c_uint8 * size)()
        written = L.llama_state_seq_get_data(self.handle, buffer, size, seq)
        return memoryview(buffer).cast("B")[:written]

    def restore(self, seq: int, state: memoryview) -> bool:
        """Put a saved state into an empty sequence; False if there is no room for it."""
        data = np.frombuffer(state, np.uint8)
        pointer = data.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        return bool(L.llama_state_seq_set_data(self.handle, pointer, len(data), seq))

    def set_threads(self, n_threads: int, n_threads_batch: int) -> None:
        """Take other thread counts from the next evaluation on."""
        L.llama_set_n_threads(self.handle, n_threads, n_threads_batch)

    def set_adapters(self, adapters: Sequence[tuple[LoadedAdapter, float]]) -> bool:
        """Take these adapters, each with its scale, from the next evaluation on."""
        count = len(adapters)
        handles = (L.llama_adapter_lora_p_ctypes * count)(*(each.handle for each, _ in adapters))
        scales = (ctypes.c_float * count)(*(scale for _, scale in adapters))
        return bool(L.llama_set_adapters_lora(self.handle, handles, count, scales) == 0)

    def free(self) -> None:
        """Give the memory back; the context is unusable afterwards."""
        self._batch.free()
        self._one.free()
        L.llama_free(self.handle)


class LoadedAdapter:
    """A LoRA adapter's weights; they stay in memory as long as their model."""

    def __init__(self, model: Model, path: Path) -> None:
        """Load them; `ValueError` if the file is no adapter of this model."""
        self.handle = L.llama_adapter_lora_init(model.handle, str(path).encode())
        if not self.handle:
            raise ValueError(path)


class _Batch:
    """llama.cpp's arrays of tokens, positions and sequences, filled anew for each evaluation."""

    def __init__(self, capacity: int, n_seq_max: int) -> None:
        self._batch = L.llama_batch_init(capacity, 0, n_seq_max)
        self._tokens = np.ctypeslib.as_array(self._batch.token, (capacity,))
        self._positions = np.ctypeslib.as_array(self._batch.pos, (capacity,))
        self._counts = np.ctypeslib.as_array(self._batch.n_seq_id, (capacity,))
        self._wanted = np.ctypeslib.as_array(self._batch.logits, (capacity,))
        self._seqs = [
            np.ctypeslib.as_array(self._batch.seq_id[row], (n_seq_max,)) for row in range(capacity)
        ]
        self._filled = (-1, 0)

    def of_sequence(self, ids: Sequence[int], seq: int, begin: int) -> Any:
        """Consecutive tokens of one sequence, the logits of the last one wanted."""
        count = len(ids)
        self._tokens[:count] = ids
        self._positions[:count] = np.arange(begin, begin + count)
        self._wanted[:count] = 0
        self._wanted[count - 1] = 1
        filled_seq, filled = self._filled
        if filled_seq != seq or filled < count:
            self._counts[:count] = 1
            for row in range(count):
                self._seqs[row][0] = seq
            self._filled = (seq, count)
        self._batch.n_tokens = count
        return self._batch

    def of_rows(self, rows: Sequence[Row]) -> Any:
        """Tokens with their own positions and sequences, the logits of all wanted."""
        for index, row in enumerate(rows):
            self._tokens[index], self._positions[index] = row.token, row.position
            self._counts[index] = len(row.seqs)
            self._seqs[index][: len(row.seqs)] = row.seqs
        self._wanted[: len(rows)] = 1
        self._filled = (-1, 0)
        self._batch.n_tokens = len(rows)
        return self._batch

    def free(self) -> None:
        """Give the arrays back."""
        L.llama_batch_free(self._batch)


class _BatchOfOne:
    """llama.cpp's arrays for one token of one sequence."""

    def __init__(self) -> None:
        self._batch = batch = L.llama_batch_init(1, 0, 1)
        batch.n_tokens = 1
        batch.n_seq_id[0] = batch.logits[0] = 1
        self._token, self._position, self._seq = batch.token, batch.pos, batch.seq_id[0]

    def filled(self, token: int, seq: int, begin: int) -> Any:
        """The batch with this token in it."""
        self._token[0], self._position[0], self._seq[0] = token, begin, seq
        return self._batch

    def free(self) -> None:
        """Give the arrays back."""
        L.llama_batch_free(self._batch)
