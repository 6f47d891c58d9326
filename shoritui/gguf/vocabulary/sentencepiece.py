"""A SentencePiece vocabulary: out of a tokenizer.model or a GGUF, and into a GGUF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from shoritui.errors import UserError
from shoritui.gguf.read import GgufFile
from shoritui.gguf.write import Value
from shoritui.text import printable

MODEL: Final = "llama"
"""What GGUF calls it: pieces merged by score, as SentencePiece's BPE does."""
_PADDING_SCORE: Final = -10_000.0
_Id = Annotated[int, Meta(ge=-1, lt=2**31)]


class TokenType(IntEnum):
    """What a token is, by the numbers that GGUF and SentencePiece share."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True)
class SentencePieceVocabulary:
    """Pieces, and which of them have a meaning."""

    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    types: tuple[int, ...]
    """Of `TokenType`."""
    bos: int
    """-1 where there is none, as for the next two."""
    eos: int
    unk: int
    add_bos: bool = True
    add_space_prefix: bool = True


def pieces_of_gguf(file: GgufFile) -> SentencePieceVocabulary:
    """Return the vocabulary that a GGUF holds; `UserError` if it is none of SentencePiece's."""
    pieces = file.texts("tokenizer.ggml.tokens")
    count = len(pieces)
    scores = file.numbers("tokenizer.ggml.scores") or (0.0,) * count
    types = [int(kind) for kind in file.numbers("tokenizer.ggml.token_type")]
    types = types or [int(TokenType.NORMAL)] * count
    if (
        not count
        or len(scores) != count
        or len(types) != count
        or not set(types).issubset(TokenType)
    ):
        raise UserError(f"{file.path}: its vocabulary is damaged: take another file.")
    return SentencePieceVocabulary(
        pieces,
        tuple(scores),
        tuple(types),
        bos=_special(file, "bos", 1, count),
        eos=_special(file, "eos", 2, count),
        unk=_special(file, "unknown", 0, count),
        add_bos=file.flag("tokenizer.ggml.add_bos_token", True),
        add_space_prefix=file.flag("tokenizer.ggml.add_space_prefix", True),
    )


def _special(file: GgufFile, name: str, default: int, count: int) -> int:
    value = file.whole(f"tokenizer.ggml.{name}_token_id", default)
    return value if value < count else -1


def _model_proto() -> Any:
    from sentencepiece import sentencepiece_model_pb2

    protobuf: Any = sentencepiece_model_pb2
    return protobuf.ModelProto()


def pieces_of_model(
    data: bytes, size: int, config: Mapping[str, Any], source: Path
) -> SentencePieceVocabulary:
    """Return the vocabulary of a tokenizer.model, with what was added, up to `size` pieces.

    `config` is the model's config.json with what tokenizer_config.json says over it: ids of what
    begins and ends a text, whether the first is put there, and what was added. `UserError` names
    the source.
    """
    model = _model_proto()
    try:
        model.ParseFromString(data)
    except Exception:  # protobuf's errors differ between its implementations
        raise UserError(f"{source} is no SentencePiece model: fetch it again.") from None
    spec, rules = model.trainer_spec, model.normalizer_spec
    if spec.model_type != spec.BPE:
        raise UserError(f"{source} is none of BPE, and llama.cpp merges pieces by score.")
    if rules.precompiled_charsmap or rules.remove_extra_whitespaces:
        raise UserError(
            f"{source} changes texts before it cuts them ({printable(rules.name)}), which "
            "llama.cpp does not."
        )
    if len(model.pieces) > size:
        raise UserError(
            f"{source} has {len(model.pieces)} pieces, more than the {size} of the network."
        )
    rest = [_added(index, config) for index in range(len(model.pieces), size)]
    return SentencePieceVocabulary(
        (*(piece.piece for piece in model.pieces), *(piece for piece, _ in rest)),
        (*(piece.score for piece in model.pieces), *(_PADDING_SCORE for _ in rest)),
        (*(_type(piece) for piece in model.pieces), *(int(kind) for _, kind in rest)),
        bos=first_id(config.get("bos_token_id"), spec.bos_id),
        eos=first_id(config.get("eos_token_id"), spec.eos_id),
        unk=spec.unk_id,
        add_bos=config.get("add_bos_token") is not False,
        add_space_prefix=rules.add_dummy_prefix,
    )


def _type(piece: Any) -> int:
    """A single letter of the user's is like any other; llama.cpp would put a space behind it."""
    is_letter = piece.type == TokenType.USER_DEFINED and len(piece.piece) == 1
    return int(TokenType.NORMAL if is_letter else piece.type)


def _added(index: int, config: Mapping[str, Any]) -> tuple[str, TokenType]:
    """Return what stands behind the pieces: a token of `added_tokens_decoder`, or padding."""
    added = (config.get("added_tokens_decoder") or {}).get(str(index))
    if not isinstance(added, dict) or not added.get("content"):
        return f"[PAD{index}]", TokenType.UNUSED
    is_special = bool(added.get("special"))
    kind = TokenType.CONTROL if is_special else TokenType.USER_DEFINED
    return str(added["content"]), kind


def first_id(given: object, default: int) -> int:
    """Return the id that is meant: of several ends, the first is the one that a text ends with.

    `UserError` if it is none.
    """
    try:
        ids = msgspec.convert(given, _Id | list[_Id] | None)
    except msgspec.ValidationError:
        raise UserError(
            "config.json: the id of a token that begins or ends a text should be a whole number."
        ) from None
    if isinstance(ids, int):
        return ids
    return ids[0] if ids else default


def gguf_pieces(vocabulary: SentencePieceVocabulary) -> dict[str, Value]:
    """Return what is stated of such a vocabulary alone, by the keys behind `tokenizer.ggml.`."""
    metadata: dict[str, Value] = {
        "model": MODEL,
        "pre": "default",
        "tokens": vocabulary.pieces,
        "scores": tuple(map(float, vocabulary.scores)),
        "token_type": vocabulary.types,
        "add_space_prefix": vocabulary.add_space_prefix,
    }
    return metadata | ({"unknown_token_id": vocabulary.unk} if vocabulary.unk >= 0 else {})
