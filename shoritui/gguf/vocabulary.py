"""The vocabulary of a model, SentencePiece's or BPE's: in a folder, in a GGUF, and between both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from shoritui.errors import UserError
from shoritui.gguf import bpe, sentencepiece
from shoritui.gguf.bpe import BpeVocabulary
from shoritui.gguf.read import GgufFile
from shoritui.gguf.sentencepiece import SentencePieceVocabulary
from shoritui.gguf.write import Value
from shoritui.text import printable

Vocabulary: TypeAlias = SentencePieceVocabulary | BpeVocabulary


def vocabulary_of_gguf(file: GgufFile) -> Vocabulary:
    """Return the vocabulary in a GGUF; `UserError` if it is of a kind that cannot be read here."""
    kind = file.text("tokenizer.ggml.model", "")
    if kind == sentencepiece.MODEL:
        return sentencepiece.pieces_of_gguf(file)
    if kind == bpe.MODEL:
        return bpe.merges_of_gguf(file)
    raise UserError(
        f"{file.path} has a vocabulary of the kind {printable(kind)!r}, which cannot be read here: "
        "take the model's own folder instead."
    )


def vocabulary_of_folder(folder: Path, config: Mapping[str, Any]) -> Vocabulary:
    """Return the vocabulary of a folder; SentencePiece's where there is one, as training takes it.

    `config` is what its config.json says. `UserError` if there is none that GGUF can hold.
    """
    details = dict(config) | _said_of_tokens(folder)
    size = int(config["vocab_size"])
    try:
        if (path := folder / "tokenizer.model").is_file():
            return sentencepiece.pieces_of_model(path.read_bytes(), size, details, path)
        if (path := folder / "tokenizer.json").is_file():
            return bpe.merges_of_json(path.read_text(encoding="utf-8"), size, details, path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None
    raise UserError(f"{folder} holds neither tokenizer.model nor tokenizer.json: fetch them too.")


def _said_of_tokens(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        wanted = ("add_bos_token", "added_tokens_decoder")
        return {key: said[key] for key in wanted if key in said}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None


def write_vocabulary(folder: Path, tokens: Vocabulary, source: Path) -> None:
    """Write tokenizer.model or tokenizer.json, and tokenizer_config.json beside it."""
    names = {"bos_token": tokens.bos, "eos_token": tokens.eos}
    details: dict[str, Any] = {"add_bos_token": tokens.add_bos, "add_eos_token": False}
    if isinstance(tokens, SentencePieceVocabulary):
        (folder / "tokenizer.model").write_bytes(sentencepiece.tokenizer_model(tokens, source))
        details |= {"tokenizer_class": "LlamaTokenizer", "legacy": True}
        details["add_prefix_space"] = tokens.add_space_prefix
        names["unk_token"] = tokens.unk
        pieces = tokens.pieces
    else:
        text = bpe.tokenizer_json(tokens, source)
        (folder / "tokenizer.json").write_text(text, encoding="utf-8")
        details["tokenizer_class"] = "PreTrainedTokenizerFast"
        pieces = tokens.tokens
    details |= {name: pieces[place] for name, place in names.items() if place >= 0}
    text = json.dumps(details, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def gguf_vocabulary(tokens: Vocabulary | None) -> dict[str, Value]:
    """Return what a GGUF states of a vocabulary, or that it has none."""
    if tokens is None:
        return {"tokenizer.ggml.model": "none"}
    if isinstance(tokens, SentencePieceVocabulary):
        metadata = sentencepiece.gguf_pieces(tokens)
    else:
        metadata = bpe.gguf_merges(tokens)
    metadata |= {"add_bos_token": tokens.add_bos, "add_eos_token": False}
    for name, place in (("bos", tokens.bos), ("eos", tokens.eos)):
        if place >= 0:
            metadata[f"{name}_token_id"] = place
    return {f"tokenizer.ggml.{key}": value for key, value in metadata.items()}
