"""Text to token ids, exactly as a chat sends them: by llama.cpp where the base is a GGUF, else by
SentencePiece or the `tokenizers` library.

What is exact piece by piece: the vocabulary's own space prefix is off, whoever begins a document
writes it and what begins a prompt by hand, and no text is ever read as a special token.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from shoritui.blockml import BLOCK_CLOSE, BLOCK_OPEN
from shoritui.bounded import read_json
from shoritui.errors import UserError
from shoritui.files import content_of
from shoritui.gguf.llama_cpp import LlamaFile
from shoritui.gguf.read import GgufFile
from shoritui.gguf.vocabulary.kept import FILE as KEPT
from shoritui.gguf.vocabulary.tokenizer_json import TokenizerJson
from shoritui.text import printable

_SETTINGS: Final = "tokenizer_config.json"
_DECIDING: Final = "tokenizer.ggml."
"""How the keys of a GGUF begin that decide a text's ids."""


class Tokenizer(ABC):
    """A base's vocabulary, as training and its sample replies use it."""

    vocabulary: int
    """How many tokens there are."""
    bos: int | None
    """What begins a document; None for nothing."""
    eos: int | None
    """What ends a text; it is never put into a sample."""
    space_prefix: bool
    """Whether it was made to see a space before a document's first character."""
    fingerprint: str
    """Names everything that decides a text's ids."""

    @abstractmethod
    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each, nothing added."""

    @abstractmethod
    def text(self, ids: Sequence[int]) -> str:
        """The text of these ids; control tokens have none."""

    def ids(self, text: str, *, first: bool = False) -> list[int]:
        """The ids of one block; the first one of a document also carries what begins it."""
        return self.many([text], first=first)[0]

    def many(self, texts: Sequence[str], *, first: bool = False) -> list[list[int]]:
        """The ids of each text; all cores are used."""
        if not first:
            return self._encoded(texts)
        begin = [] if self.bos is None else [self.bos]
        prefix = " " if self.space_prefix else ""
        return [begin + ids for ids in self._encoded([prefix + text for text in texts])]

    @cached_property
    def close(self) -> int | None:
        """The token that is `▄`; None if there is none."""
        return self._single(BLOCK_CLOSE)

    @property
    def warning(self) -> str:
        """What to tell if `▀` and `▄` are no tokens of their own; else empty."""
        if self._single(BLOCK_OPEN) is not None and self.close is not None:
            return ""
        return (
            f"{BLOCK_OPEN} and {BLOCK_CLOSE} are no single tokens of this base's vocabulary: it "
            "can learn them as several, but a base that has them (Mistral's) learns the format "
            "better."
        )

    def _single(self, text: str) -> int | None:
        ids = self.ids(text)
        return ids[0] if len(ids) == 1 and self.text(ids) == text else None


def open_tokenizer(folder: Path) -> Tokenizer:
    """Open the vocabulary of a model's folder: that of the GGUF which it was made from, else its
    tokenizer.model, else its tokenizer.json.

    Raises:
        UserError: There is none, or it cannot be read, or its library is not installed.
    """
    if (kept := folder / KEPT).is_file():
        return _Kept(kept)
    pieces, fast = folder / "tokenizer.model", folder / "tokenizer.json"
    try:
        settings = _settings(folder / _SETTINGS)
        if pieces.exists():
            return _Pieces(_content(pieces), settings)
        if fast.exists():
            return _Fast(_content(fast).decode(), settings)
    except UserError:
        raise
    except ImportError:
        raise UserError("Training needs more: pip install 'shoritui[finetune]'.") from None
    except Exception as error:  # either library has exceptions of its own
        raise UserError(f"The tokenizer in {folder} cannot be read: {error}") from None
    raise UserError(f"{folder} has no tokenizer: expected tokenizer.model or tokenizer.json in it.")


def tokenizer_of_gguf(path: Path) -> Tokenizer:
    """Open the vocabulary of a GGUF file.

    Raises:
        UserError: It cannot be read.
    """
    return _Kept(path)


class _Kept(Tokenizer):
    """llama.cpp's reading of the metadata of a GGUF file."""

    def __init__(self, path: Path) -> None:
        self._file = LlamaFile(path, vocabulary_only=True)
        self.vocabulary = self._file.size
        if not self.vocabulary:
            raise UserError(f"{path} has no vocabulary: take a file that has one.")
        self.bos, self.eos = self._file.begin, self._file.end
        self.space_prefix = bool(self._file.space_prefix)
        stated = sorted(GgufFile(path).verbatim(_DECIDING).items())
        own = b"".join(key.encode() + value.data for key, value in stated)
        self.fingerprint = _fingerprint(own, self.space_prefix, self.bos)

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        return self._file.many(texts)

    def text(self, ids: Sequence[int]) -> str:
        return b"".join(map(self._file.piece, ids)).decode(errors="replace")


class _Pieces(Tokenizer):
    """SentencePiece's own reading of tokenizer.model."""

    def __init__(self, model: bytes, settings: dict[str, Any]) -> None:
        from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2

        protocol: Any = sentencepiece_model_pb2
        proto = protocol.ModelProto()
        proto.ParseFromString(model)
        self.space_prefix = proto.normalizer_spec.add_dummy_prefix
        # As in llama.cpp: neither adds nor takes away spaces.
        proto.normalizer_spec.add_dummy_prefix = False
        proto.normalizer_spec.remove_extra_whitespaces = False
        own = proto.SerializeToString(deterministic=True)
        self._processor = SentencePieceProcessor(model_proto=own)
        self.vocabulary = self._processor.get_piece_size()
        begins = settings.get("add_bos_token", True)
        self.bos = _known(self._processor.bos_id()) if begins else None
        self.eos = _known(self._processor.eos_id())
        self.fingerprint = _fingerprint(own, self.space_prefix, self.bos)

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = self._processor.encode(list(texts))
        return ids

    def text(self, ids: Sequence[int]) -> str:
        return str(self._processor.decode(list(ids)))


class _Fast(Tokenizer):
    """tokenizer.json, as the `tokenizers` library reads it."""

    def __init__(self, text: str, settings: dict[str, Any]) -> None:
        self._library = library = TokenizerJson(text, settings)
        self.space_prefix, self.vocabulary = library.space_prefix, library.size
        self.bos, self.eos = library.bos, library.eos
        self.fingerprint = _fingerprint(library.text.encode(), self.space_prefix, self.bos)

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        return self._library.many(texts)

    def text(self, ids: Sequence[int]) -> str:
        return self._library.decoded(ids)


def _settings(path: Path) -> dict[str, Any]:
    found = read_json(_content(path)) if path.exists() else {}
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} is no JSON object")
    return found


def _content(path: Path) -> bytes:
    try:
        return content_of(path)
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be read: {error.strerror}.") from None


def _known(token: int) -> int | None:
    return token if token >= 0 else None


def _fingerprint(model: bytes, *rest: object) -> str:
    return hashlib.sha256(model + repr(rest).encode()).hexdigest()
