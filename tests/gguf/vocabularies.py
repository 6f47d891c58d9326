"""The vocabulary of the model that ships, written as SentencePiece has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sentencepiece import sentencepiece_model_pb2

from shoritui.demo import model_path
from shoritui.gguf.read import GgufFile
from shoritui.gguf.vocabulary.sentencepiece import (
    SentencePieceVocabulary,
    TokenType,
    pieces_of_gguf,
)


def shipped() -> SentencePieceVocabulary:
    """The pieces of the model that ships."""
    return pieces_of_gguf(GgufFile(model_path()))


def write_pieces(folder: Path, tokens: SentencePieceVocabulary) -> None:
    """Write them as tokenizer.model and tokenizer_config.json."""
    protobuf: Any = sentencepiece_model_pb2
    model = protobuf.ModelProto()
    for piece, score, kind in zip(tokens.pieces, tokens.scores, tokens.types, strict=True):
        model.pieces.add(piece=piece, score=score, type=kind)
    spec, rules = model.trainer_spec, model.normalizer_spec
    spec.model_type = spec.BPE
    spec.vocab_size = len(tokens.pieces)
    spec.byte_fallback = int(TokenType.BYTE) in tokens.types
    spec.pad_id = -1
    for name in ("unk", "bos", "eos"):
        place = getattr(tokens, name)
        setattr(spec, f"{name}_id", place)
        setattr(spec, f"{name}_piece", tokens.pieces[place])
    rules.name = "identity"
    rules.add_dummy_prefix = tokens.add_space_prefix
    rules.remove_extra_whitespaces = False
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    settings = {"add_bos_token": tokens.add_bos}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
