"""The vocabulary of a base that was a GGUF file, kept beside its weights as it stood there.

What llama.cpp makes of the file it makes of this one: it holds the same metadata, and no tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shoritui.errors import UserError
from shoritui.gguf.header import Verbatim
from shoritui.gguf.llama_cpp import LlamaFile
from shoritui.gguf.read import GgufFile
from shoritui.gguf.vocabulary.trial import check_vocabulary
from shoritui.gguf.write import write_gguf

FILE: Final = "vocabulary.gguf"
"""Its name in a folder."""
_TOKENS: Final = "tokenizer."


@dataclass(frozen=True, slots=True)
class KeptVocabulary:
    """What a GGUF states of its vocabulary, of whatever kind that is."""

    metadata: Mapping[str, Verbatim]
    """By the whole keys; a chat's template is among it."""


def keep(source: GgufFile, folder: Path) -> None:
    """Write a GGUF's metadata into a folder; `UserError` if llama.cpp has no vocabulary of it."""
    path = folder / FILE
    write_gguf(path, source.verbatim("general.", _TOKENS), [])
    try:
        check_vocabulary(path)
        with LlamaFile(path, vocabulary_only=True) as file:
            size = file.size
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ").replace(str(path), "its vocabulary")
        raise UserError(f"{source.path}: {reason}") from None
    if not size:
        raise UserError(f"{source.path} has no vocabulary: take a file that has one.")


def kept_in(path: Path) -> KeptVocabulary:
    """Return what was kept; `UserError` if it is damaged."""
    return KeptVocabulary(GgufFile(path).verbatim(_TOKENS))
