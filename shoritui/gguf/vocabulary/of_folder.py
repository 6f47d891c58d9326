"""The vocabulary of a folder, as training takes it, and what a GGUF states of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from shoritui.bounded import read_json
from shoritui.errors import UserError
from shoritui.files import content_of
from shoritui.gguf.vocabulary import bpe, kept, sentencepiece
from shoritui.gguf.vocabulary.bpe import BpeVocabulary
from shoritui.gguf.vocabulary.kept import KeptVocabulary
from shoritui.gguf.vocabulary.sentencepiece import SentencePieceVocabulary
from shoritui.gguf.write import Value

Vocabulary: TypeAlias = SentencePieceVocabulary | BpeVocabulary | KeptVocabulary


def vocabulary_of_folder(folder: Path, config: Mapping[str, Any]) -> Vocabulary:
    """Return the vocabulary of a folder: a GGUF's own, else SentencePiece's, else merges.

    `config` is what its config.json says. `UserError` if there is none that GGUF can hold.
    """
    try:
        if (path := folder / kept.FILE).is_file():
            return kept.kept_in(path)
        details = dict(config) | _said_of_tokens(folder)
        size = int(config["vocab_size"])
        if (path := folder / "tokenizer.model").is_file():
            return sentencepiece.pieces_of_model(content_of(path), size, details, path)
        if (path := folder / "tokenizer.json").is_file():
            return bpe.merges_of_json(content_of(path).decode(), size, details, path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None
    raise UserError(f"{folder} holds neither tokenizer.model nor tokenizer.json: fetch them too.")


def _said_of_tokens(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    try:
        said = read_json(content_of(path))
        wanted = ("add_bos_token", "added_tokens_decoder", "bos_token", "eos_token")
        return {key: said[key] for key in wanted if key in said}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None


def gguf_vocabulary(tokens: Vocabulary | None) -> dict[str, Value]:
    """Return what a GGUF states of a vocabulary, or that it has none."""
    if tokens is None:
        return {"tokenizer.ggml.model": "none"}
    if isinstance(tokens, KeptVocabulary):
        return dict(tokens.metadata)
    if isinstance(tokens, SentencePieceVocabulary):
        metadata = sentencepiece.gguf_pieces(tokens)
    else:
        metadata = bpe.gguf_merges(tokens)
    metadata |= {"add_bos_token": tokens.add_bos, "add_eos_token": False}
    for name, place in (("bos", tokens.bos), ("eos", tokens.eos)):
        if place >= 0:
            metadata[f"{name}_token_id"] = place
    return {f"tokenizer.ggml.{key}": value for key, value in metadata.items()}
