"""A context of llama.cpp: KV cells, evaluation, logits, and a flag that ends an evaluation early.

It does not know what the tokens mean or why they are evaluated; `cache.py` does.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.library import L
from shoritui.engine.model import Model


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
    """The KV cache of one sequence, and the logits after its last token."""

    def __init__(
        self, model: Model, *, n_ctx: int, n_batch: int, n_threads: int, abort: AbortFlag
    ) -> None:
        """Allocate; `MemoryError` if there is not enough."""
        params = L.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, n_batch, n_batch
        params.n_threads = params.n_threads_batch = n_threads
        self.handle = L.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise MemoryError(n_ctx)
        self._abort = abort
        L.llama_set_abort_callback(self.handle, abort.callback, abort.address)
        self._memory = L.llama_get_memory(self.handle)
        self.n_ctx: Final[int] = L.llama_n_ctx(self.handle)
        self.n_batch: Final = n_batch
        self._row = ctypes.c_float * model.n_vocab
        self._one = (ctypes.c_int32 * 1)()
        self._batch_of_one = L.llama_batch_get_one(self._one, 1)

    def decode(self, ids: Sequence[int]) -> bool:
        """Evaluate up to `n_batch` ids after those held; False if it was aborted on the way."""
        if len(ids) == 1:
            self._one[0] = ids[0]
            return self._decode(self._batch_of_one)
        array = (ctypes.c_int32 * len(ids))(*ids)
        return self._decode(L.llama_batch_get_one(array, len(ids)))

    def _decode(self, batch: Any) -> bool:
        status = L.llama_decode(self.handle, batch)
        if status not in (0, 2):
            raise RuntimeError(f"llama_decode returned {status}")
        return bool(status == 0)

    def logits(self) -> NDArray[np.float32]:
        """The scores of all tokens after the last one evaluated, in place.

        Valid until the next `decode`; what is written here is what a chain samples from.
        """
        pointer = L.llama_get_logits_ith(self.handle, -1)
        row = self._row.from_address(ctypes.addressof(pointer.contents))
        values: NDArray[np.float32] = np.asarray(row)
        return values

    def held(self) -> int:
        """How many tokens the cache really holds."""
        return int(L.llama_memory_seq_pos_max(self._memory, 0)) + 1

    def truncate(self, length: int) -> bool:
        """Keep the first `length` tokens; False if this kind of model cannot go back."""
        return bool(L.llama_memory_seq_rm(self._memory, 0, length, -1))

    def clear(self) -> None:
        """Forget everything."""
        L.llama_memory_clear(self._memory, True)

    def free(self) -> None:
        """Give the memory back; the context is unusable afterwards."""
        L.llama_free(self.handle)
