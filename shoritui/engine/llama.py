"""What runs on llama.cpp: models, contexts, samplers. With `library.py` all that touches ctypes.

It does not know segments, requests or processes.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.library import L, text
from shoritui.engine.sampling import Step
from shoritui.errors import UserError

BLOCK_OPEN: Final = "▀"
BLOCK_CLOSE: Final = "▄"
_WALLS: Final = (BLOCK_OPEN.encode(), BLOCK_CLOSE.encode(), b"\n")
_SPACE_PREFIX: Final = b"tokenizer.ggml.add_space_prefix"


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


class Model:
    """A loaded model file, or only its vocabulary and metadata.

    Tokenisation is exact piece by piece: the library's own space prefix is off, whoever begins a
    document writes it (`space_prefix`), and text is never read as special tokens.
    """

    def __init__(
        self,
        path: Path,
        *,
        n_gpu_layers: int = 0,
        vocab_only: bool = False,
        on_progress: Callable[[float], None] = lambda share: None,
    ) -> None:
        """Load the file; `on_progress` hears the loaded share. Not loadable: `ValueError`."""
        params = L.llama_model_default_params()
        params.n_gpu_layers, params.vocab_only = n_gpu_layers, vocab_only
        overrides = (L.llama_model_kv_override * 2)()
        overrides[0].tag, overrides[0].key = L.LLAMA_KV_OVERRIDE_TYPE_BOOL, _SPACE_PREFIX
        overrides[0].value.val_bool = False
        params.kv_overrides = overrides

        def report(share: float, _: object) -> bool:
            on_progress(share)
            return True

        params.progress_callback = progress = L.llama_progress_callback(report)
        self.handle = L.llama_model_load_from_file(str(path).encode(), params)
        del progress  # held until here: the library called it while loading
        if not self.handle:
            raise ValueError(path)
        self.vocab = L.llama_model_get_vocab(self.handle)
        self.n_vocab: int = L.llama_vocab_n_tokens(self.vocab)
        self.open: Final = self._single(BLOCK_OPEN)
        self.close: Final = self._single(BLOCK_CLOSE)
        self.newline: Final = self._single("\n")
        adds_bos = L.llama_vocab_get_add_bos(self.vocab)
        self.bos: Final[int | None] = L.llama_vocab_bos(self.vocab) if adds_bos else None

    @cached_property
    def pieces(self) -> list[bytes]:
        """The bytes of every token; none for control tokens."""
        return [self._piece(token) for token in range(self.n_vocab)]

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens that end a text, such as EOS."""
        tokens = range(self.n_vocab)
        return frozenset(t for t in tokens if L.llama_vocab_is_eog(self.vocab, t))

    @property
    def space_prefix(self) -> bool:
        """Whether the vocabulary was made to see a space before a document's first character."""
        stated = self.metadata("tokenizer.ggml.add_space_prefix")
        if stated is None:
            return self.metadata("tokenizer.ggml.model") == "llama"
        return stated == "true"

    @property
    def block_tokens(self) -> bool:
        """Whether `▀`, `▄` and the newline are single tokens that no longer piece contains."""
        if None in (self.open, self.close, self.newline):
            return False
        return not any(mark in piece and piece != mark for mark in _WALLS for piece in self.pieces)

    @cached_property
    def uncounted(self) -> frozenset[int]:
        """The tokens that penalties never see: block marks, newlines, begins and ends of texts."""
        walls = {token for token, piece in enumerate(self.pieces) if piece in _WALLS}
        return frozenset(walls | self.ends | ({self.bos} if self.bos is not None else set()))

    @property
    def description(self) -> str:
        """Name, architecture, size and quantisation, such as `ShoriRP (llama 7.2B Q6_K)`."""
        architecture = self.metadata("general.architecture") or "?"
        kind = self.metadata("general.file_type") or ""
        quantisation = text(L.llama_ftype_name(int(kind)) or b"") if kind.isdecimal() else ""
        facts = f"{architecture} {_size(self.n_params)} {quantisation}".strip()
        name = self.metadata("general.name")
        # A file's name for itself is foreign text: nothing of it may reach a terminal as a command.
        printable = "".join(c for c in name or "" if c.isprintable())
        return f"{printable} ({facts})" if printable else facts

    @property
    def n_params(self) -> int:
        """The number of parameters."""
        return int(L.llama_model_n_params(self.handle))

    @property
    def size_bytes(self) -> int:
        """The size of all tensors."""
        return int(L.llama_model_size(self.handle))

    def metadata(self, key: str) -> str | None:
        """A value of the file's metadata; None if it is missing or a list."""
        buffer = ctypes.create_string_buffer(256)
        length = L.llama_model_meta_val_str(self.handle, key.encode(), buffer, len(buffer))
        return None if length < 0 else text(buffer.value)

    def number(self, key: str) -> int | None:
        """A whole number of the metadata under the architecture's name, such as `block_count`."""
        value = self.metadata(f"{self.metadata('general.architecture')}.{key}")
        return int(value) if value is not None and value.isdecimal() else None

    def tokenize(self, text: str) -> list[int]:
        """The ids of a piece of text, nothing added."""
        data = text.encode()
        buffer = (ctypes.c_int32 * (len(data) + 1))()
        count = L.llama_tokenize(self.vocab, data, len(data), buffer, len(buffer), False, False)
        if count < 0:
            raise UserError(f"A text of {len(data):,} bytes cannot be tokenised.")
        return buffer[:count]

    def free(self) -> None:
        """Give the memory back; the model is unusable afterwards."""
        L.llama_model_free(self.handle)

    def _piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(64)
        length = L.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, False)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = L.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, False)
        return buffer.raw[:length]

    def _single(self, text: str) -> int | None:
        ids = self.tokenize(text)
        return ids[0] if len(ids) == 1 and self._piece(ids[0]) == text.encode() else None


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


class Sampler:
    """One step of a chain."""

    def __init__(self, step: Step, n_vocab: int) -> None:
        """The sampler that `step` names, with its numbers as they stand."""
        self.handle = _BUILD[step.name](n_vocab, *step.values)

    @property
    def name(self) -> str:
        """llama.cpp's name for what it built."""
        return text(L.llama_sampler_name(self.handle))

    def recount(self, tokens: Iterable[int]) -> None:
        """Forget all counted tokens and count these."""
        L.llama_sampler_reset(self.handle)
        for token in tokens:
            L.llama_sampler_accept(self.handle, token)

    def free(self) -> None:
        """Give the memory back; the sampler is unusable afterwards."""
        L.llama_sampler_free(self.handle)


class Chain:
    """Samplers, one after the other on the logits of a context; the last one must draw."""

    def __init__(self, samplers: Sequence[Sampler]) -> None:
        """A chain of samplers that stay their owners' to free."""
        self._handle = L.llama_sampler_chain_init(L.llama_sampler_chain_default_params())
        for sampler in samplers:
            L.llama_sampler_chain_add(self._handle, sampler.handle)

    def sample(self, context: Context) -> int:
        """The id of the next token; every sampler counts it."""
        token: int = L.llama_sampler_sample(self._handle, context.handle, -1)
        return token

    def free(self) -> None:
        """Give the chain's own memory back."""
        while L.llama_sampler_chain_n(self._handle):
            L.llama_sampler_chain_remove(self._handle, 0)
        L.llama_sampler_free(self._handle)


def _ban(n_vocab: int, token: float) -> Any:
    bias = (L.llama_logit_bias * 1)()
    bias[0].token, bias[0].bias = int(token), -math.inf
    return L.llama_sampler_init_logit_bias(n_vocab, 1, bias)


_BUILD: Final[dict[str, Callable[..., Any]]] = {
    "ban": _ban,
    "penalties": lambda n_vocab, window, *values: L.llama_sampler_init_penalties(
        n_vocab, int(window), *values
    ),
    "top_k": lambda _, k: L.llama_sampler_init_top_k(int(k)),
    "typical_p": lambda _, p: L.llama_sampler_init_typical(p, 1),
    "top_p": lambda _, p: L.llama_sampler_init_top_p(p, 1),
    "min_p": lambda _, p: L.llama_sampler_init_min_p(p, 1),
    "temperature": lambda _, t: L.llama_sampler_init_temp(t),
    "greedy": lambda _: L.llama_sampler_init_greedy(),
    "dist": lambda _, seed: L.llama_sampler_init_dist(int(seed)),
    "mirostat": lambda _, seed, tau, eta: L.llama_sampler_init_mirostat_v2(int(seed), tau, eta),
}


def _size(count: int) -> str:
    for unit, name in ((10**9, "B"), (10**6, "M")):
        if count >= unit:
            return f"{count / unit:.1f}{name}"
    return str(count)
