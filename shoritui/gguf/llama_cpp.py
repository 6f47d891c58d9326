"""What llama.cpp makes of a GGUF: tokens of texts, and logits as exact as it computes them.

It computes on the CPU, with an F32 KV cache and without flash attention, and prints nothing.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from shoritui.errors import UserError
from shoritui.gguf.read import Floats
from shoritui.host.amx import without_amx
from shoritui.text import printable

_SPACE_PREFIX: Final = b"tokenizer.ggml.add_space_prefix"
_RULE: Final = b"tokenizer.ggml.pre"
_GGML_F32: Final = 0
_PIECES: Final = 1
"""llama.cpp's number of a vocabulary of SentencePiece."""
_FLASH_ATTENTION_OFF: Final = 0
_ERROR_LEVEL: Final = 4
_WORDS_SHOWN: Final = 200
_FEW: Final = 64
"""Texts for which no threads are started."""
_errors: Final[list[str]] = []
"""What llama.cpp has complained of since a file was last opened."""


def library() -> Any:
    """Return llama.cpp, which prints nothing from now on; `UserError` if it cannot be loaded."""
    try:
        loaded: Any = without_amx(importlib.import_module("llama_cpp.llama_cpp"))
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise UserError(f"llama-cpp-python cannot be loaded ({error}): install it again.") from None
    loaded.llama_log_set(_listener(loaded), None)
    return loaded


@cache
def _listener(loaded: Any) -> Any:
    """Return the one callback, which is kept: llama.cpp calls it as long as the process lives."""

    def hear(level: int, text: bytes, data: Any) -> None:
        if level == _ERROR_LEVEL:
            _errors.append(text.decode(errors="replace"))

    return loaded.llama_log_callback(hear)


class LlamaFile:
    """A GGUF that llama.cpp has loaded; what begins a text is left to whoever asks."""

    def __init__(self, path: Path, *, vocabulary_only: bool = False, rule: str = "") -> None:
        """Load it; `rule` is a name for how texts are split to take in place of the file's own.

        `UserError` if llama.cpp does not take it.
        """
        self._library = loaded = library()
        parameters = loaded.llama_model_default_params()
        parameters.n_gpu_layers, parameters.vocab_only = 0, vocabulary_only
        overrides = (loaded.llama_model_kv_override * 3)()
        overrides[0].tag, overrides[0].key = loaded.LLAMA_KV_OVERRIDE_TYPE_BOOL, _SPACE_PREFIX
        overrides[0].value.val_bool = False
        if rule:
            overrides[1].tag, overrides[1].key = loaded.LLAMA_KV_OVERRIDE_TYPE_STR, _RULE
            overrides[1].value.val_str = rule.encode()
        parameters.kv_overrides = overrides
        _errors.clear()
        self._handle = loaded.llama_model_load_from_file(str(path).encode(), parameters)
        if not self._handle:
            said = printable(" ".join(" ".join(_errors).split()))[:_WORDS_SHOWN]
            raise UserError(f"llama.cpp does not load {path} ({said or 'it does not say why'}).")
        self._free = weakref.finalize(self, loaded.llama_model_free, self._handle)
        self._free.atexit = False
        self._vocabulary = loaded.llama_model_get_vocab(self._handle)
        self.size: Final[int] = loaded.llama_vocab_n_tokens(self._vocabulary)
        self._path = path

    def tokens(self, text: str) -> list[int]:
        """Return the ids of a text, nothing added, none of it read as a special token."""
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 1))()
        count = self._library.llama_tokenize(
            self._vocabulary, data, len(data), ids, len(ids), False, False
        )
        return ids[: max(count, 0)]

    def many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text; all cores are used."""
        if len(texts) <= _FEW:
            return [self.tokens(text) for text in texts]
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # llama.cpp's own work needs no lock
            return list(threads.map(self.tokens, texts))

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token; none for one that stands for no text."""
        buffer = ctypes.create_string_buffer(64)
        piece = self._library.llama_token_to_piece
        length = piece(self._vocabulary, token, buffer, len(buffer), 0, False)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = piece(self._vocabulary, token, buffer, len(buffer), 0, False)
        return buffer.raw[: max(length, 0)]

    @property
    def begin(self) -> int | None:
        """What the file says begins a document."""
        if not self._library.llama_vocab_get_add_bos(self._vocabulary):
            return None
        return int(self._library.llama_vocab_bos(self._vocabulary))

    @property
    def end(self) -> int | None:
        """What ends a text, by the file."""
        token = int(self._library.llama_vocab_eos(self._vocabulary))
        return token if token >= 0 else None

    @property
    def space_prefix(self) -> str:
        """What the file says stands before a document's first character."""
        value = ctypes.create_string_buffer(16)
        found = self._library.llama_model_meta_val_str(
            self._handle, _SPACE_PREFIX, value, len(value)
        )
        is_pieces = self._library.llama_vocab_type(self._vocabulary) == _PIECES
        return " " if (value.value == b"true" if found >= 0 else is_pieces) else ""

    def logits(
        self, documents: Sequence[npt.NDArray[np.int32]], adapter: Path | None, threads: int
    ) -> list[Floats]:
        """Return (tokens, vocabulary) for each document, if wanted with an adapter on.

        `UserError` if the adapter is none for this model, or there is not enough memory.
        """
        with self._context(max(map(len, documents)), adapter, threads) as context:
            return [self._evaluated(context, ids) for ids in documents]

    @contextmanager
    def _context(self, tokens: int, adapter: Path | None, threads: int) -> Iterator[Any]:
        loaded = self._library
        parameters = loaded.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = tokens
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.type_k = parameters.type_v = _GGML_F32
        parameters.flash_attn_type = _FLASH_ATTENTION_OFF
        parameters.offload_kqv = parameters.op_offload = False
        context = loaded.llama_init_from_model(self._handle, parameters)
        if not context:
            raise UserError(f"There is not enough memory to run {self._path}.")
        try:
            if adapter is not None:
                self._put_on(context, adapter)
            yield context
        finally:
            loaded.llama_free(context)

    def _put_on(self, context: Any, path: Path) -> None:
        loaded = self._library
        adapter = loaded.llama_adapter_lora_init(self._handle, str(path).encode())
        if not adapter:
            raise UserError(f"llama.cpp does not take {path} as an adapter of {self._path}.")
        handles = (loaded.llama_adapter_lora_p_ctypes * 1)(adapter)
        loaded.llama_set_adapters_lora(context, handles, 1, (ctypes.c_float * 1)(1.0))

    def _evaluated(self, context: Any, ids: npt.NDArray[np.int32]) -> Floats:
        loaded, count = self._library, len(ids)
        loaded.llama_memory_clear(loaded.llama_get_memory(context), True)
        batch = loaded.llama_batch_init(count, 0, 1)
        try:
            batch.n_tokens = count
            for place, token in enumerate(ids):
                batch.token[place], batch.pos[place] = int(token), place
                batch.n_seq_id[place] = batch.logits[place] = 1
                batch.seq_id[place][0] = 0
            if loaded.llama_decode(context, batch):
                raise UserError(f"llama.cpp cannot evaluate {count} tokens with {self._path}.")
            rows = np.ctypeslib.as_array(loaded.llama_get_logits(context), (count, self.size))
            return np.array(rows, np.float32)
        finally:
            loaded.llama_batch_free(batch)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give the memory back."""
        self._free()
