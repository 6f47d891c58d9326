"""What llama.cpp makes of a GGUF: tokens of texts, logits as exact as it computes them, K-quants.

It computes on the CPU, with an F32 KV cache and without flash attention, and prints nothing.
"""

from __future__ import annotations

import ctypes
import importlib
import multiprocessing
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt

from shoritui.errors import UserError
from shoritui.gguf.read import Floats
from shoritui.gguf.write import ByteProgress
from shoritui.host.amx import without_amx
from shoritui.text import printable

Quant = Literal["q6_k", "q5_k_m", "q4_k_m"]

BITS: Final[Mapping[Quant, float]] = {"q6_k": 6.6, "q5_k_m": 5.7, "q4_k_m": 4.9}
"""About as many for each weight."""
_SPACE_PREFIX: Final = b"tokenizer.ggml.add_space_prefix"
_GGML_F32: Final = 0
_PIECES: Final = 1
"""llama.cpp's number of a vocabulary of SentencePiece."""
_FLASH_ATTENTION_OFF: Final = 0
_ERROR_LEVEL: Final = 4
_SECONDS: Final = 0.1
_WORDS_SHOWN: Final = 200


def _library() -> Any:
    """Return llama.cpp, which prints nothing from now on; `UserError` if it cannot be loaded."""
    try:
        loaded: Any = without_amx(importlib.import_module("llama_cpp.llama_cpp"))
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise UserError(f"llama-cpp-python cannot be loaded ({error}): install it again.") from None
    loaded.llama_log_set(_silence(loaded), None)
    return loaded


@cache
def _silence(loaded: Any) -> Any:
    """Return the one callback, which is kept: llama.cpp calls it as long as the process lives."""
    return loaded.llama_log_callback(lambda level, text, data: None)


class LlamaFile:
    """A GGUF that llama.cpp has loaded; what begins a text is left to whoever asks."""

    def __init__(self, path: Path, *, vocabulary_only: bool = False) -> None:
        """`UserError` if llama.cpp does not take it."""
        self._library = loaded = _library()
        parameters = loaded.llama_model_default_params()
        parameters.n_gpu_layers, parameters.vocab_only = 0, vocabulary_only
        overrides = (loaded.llama_model_kv_override * 2)()
        overrides[0].tag, overrides[0].key = loaded.LLAMA_KV_OVERRIDE_TYPE_BOOL, _SPACE_PREFIX
        overrides[0].value.val_bool = False
        parameters.kv_overrides = overrides
        self._handle = loaded.llama_model_load_from_file(str(path).encode(), parameters)
        if not self._handle:
            raise UserError(f"llama.cpp does not load {path}.")
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
        return list(ids[: max(count, 0)])

    @property
    def begin(self) -> int | None:
        """What the file says begins a document."""
        if not self._library.llama_vocab_get_add_bos(self._vocabulary):
            return None
        return int(self._library.llama_vocab_bos(self._vocabulary))

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
        self._library.llama_model_free(self._handle)


def quantize(source: Path, target: Path, quant: Quant, report: ByteProgress | None = None) -> None:
    """Make `target` of a GGUF in F16 or F32, in a process of its own that can be ended.

    `report` is told the bytes written and about how many there will be.

    Raises:
        UserError: llama.cpp could not.
    """
    total = int(source.stat().st_size / 16 * BITS[quant])
    spawn = multiprocessing.get_context("spawn")
    heard, say = spawn.Pipe(duplex=False)
    process = spawn.Process(
        target=_quantize, args=(str(source), str(target), quant, say), daemon=True
    )
    process.start()
    say.close()
    try:
        while not heard.poll(_SECONDS):
            if report:
                report(min(_size(target), total), total)
        problem = _heard(heard)
    finally:
        process.kill()
        process.join()
    if problem:
        raise UserError(f"llama.cpp could not make {quant}: {problem}.")
    if report:
        report(total, total)


def _heard(connection: Connection) -> str:
    """Return what went wrong; empty for nothing."""
    try:
        words: str = connection.recv()
    except EOFError:
        return "its process ended, perhaps for want of memory"
    return printable(words.strip()[-_WORDS_SHOWN:])


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _quantize(source: str, target: str, quant: Quant, say: Connection) -> None:
    """Quantise, in a process of its own; say what llama.cpp calls errors, or nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever waits ends this process
    loaded = _library()
    errors: list[str] = []

    def hear(level: int, text: bytes, data: Any) -> None:
        if level == _ERROR_LEVEL:
            errors.append(text.decode(errors="replace"))

    heard = loaded.llama_log_callback(hear)
    loaded.llama_log_set(heard, None)
    parameters = loaded.llama_model_quantize_default_params()
    parameters.ftype = getattr(loaded, f"LLAMA_FTYPE_MOSTLY_{quant.upper()}")
    code = loaded.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(parameters))
    say.send(" ".join(errors) or f"error {code}" if code else "")
