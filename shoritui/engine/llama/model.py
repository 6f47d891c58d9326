"""A model file that llama.cpp has loaded: its vocabulary, its metadata, exact tokenisation."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Final

from shoritui.engine.llama.library import L, text
from shoritui.errors import UserError
from shoritui.text import number, printable

BLOCK_OPEN: Final = "▀"
BLOCK_CLOSE: Final = "▄"
_WALLS: Final = (BLOCK_OPEN.encode(), BLOCK_CLOSE.encode(), b"\n")
_SPACE_PREFIX: Final = b"tokenizer.ggml.add_space_prefix"


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
        self.end: Final = self._end()
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

    @cached_property
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
        facts = f"{architecture} {number(self.n_params).replace(' ', '')} {quantisation}".strip()
        name = self.metadata("general.name")
        # A file's name for itself is foreign text: nothing of it may reach a terminal as a command.
        return f"{printable(name)} ({facts})" if name else facts

    @property
    def is_recurrent(self) -> bool:
        """Whether it keeps a state that cannot go back to a place in its past."""
        recurrent = L.llama_model_is_recurrent(self.handle)
        return bool(recurrent or L.llama_model_is_hybrid(self.handle))

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

    def _end(self) -> int | None:
        """The token that only the mark at a block's end begins with, or next to nothing else does.

        None where that is a single byte, with which dashes and quote marks begin too.
        """
        first = self.tokenize(BLOCK_CLOSE)[0]
        return first if len(self._piece(first)) > 1 else None

    def _single(self, text: str) -> int | None:
        ids = self.tokenize(text)
        return ids[0] if len(ids) == 1 and self._piece(ids[0]) == text.encode() else None
