"""A SentencePiece vocabulary: out of a GGUF into a tokenizer.model, and the other way.

It does not know the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gguf
from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2

from shoritui.errors import UserError
from shoritui.finetune.gguf.reading import GgufFile, printable

_PROTOBUF: Final[Any] = sentencepiece_model_pb2
MODEL: Final = "llama"
"""What GGUF calls it: pieces merged by score, as SentencePiece's BPE does."""
_PADDING_SCORE: Final = -10_000.0
_TYPES: Final = frozenset(int(kind) for kind in gguf.TokenType)
"""SentencePiece numbers its kinds of pieces as GGUF does."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Pieces, and which of them have a meaning."""

    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    types: tuple[int, ...]
    """As `gguf.TokenType`."""
    bos: int
    """-1 where there is none, as for the next two."""
    eos: int
    unk: int
    add_bos: bool = True
    add_space_prefix: bool = True


def vocabulary_of_gguf(file: GgufFile) -> Vocabulary:
    """The vocabulary that a GGUF holds; `UserError` if it is none of SentencePiece's."""
    pieces = file.texts("tokenizer.ggml.tokens")
    count = len(pieces)
    scores = file.numbers("tokenizer.ggml.scores") or [0.0] * count
    types = [int(kind) for kind in file.numbers("tokenizer.ggml.token_type")]
    types = types or [int(gguf.TokenType.NORMAL)] * count
    if not count or len(scores) != count or len(types) != count or not _TYPES.issuperset(types):
        raise UserError(f"{file.path}: its vocabulary is damaged: take another file.")
    return Vocabulary(
        tuple(pieces),
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


def tokenizer_model(vocabulary: Vocabulary, source: Path) -> bytes:
    """The bytes of a tokenizer.model; `UserError` naming the source if it cannot be one."""
    model = _PROTOBUF.ModelProto()
    for piece, score, kind in zip(
        vocabulary.pieces, vocabulary.scores, vocabulary.types, strict=True
    ):
        model.pieces.add(piece=piece, score=score, type=kind)
    _describe_training(model.trainer_spec, vocabulary)
    rules = model.normalizer_spec
    rules.name = "identity"
    rules.add_dummy_prefix = vocabulary.add_space_prefix
    rules.remove_extra_whitespaces = False
    rules.escape_whitespaces = True
    data: bytes = model.SerializeToString()
    try:
        SentencePieceProcessor(model_proto=data)
    except RuntimeError:
        raise UserError(
            f"{source}: its vocabulary is none that SentencePiece takes: pieces are empty, occur "
            "twice, or none stands for the unknown. Take the model's folder instead."
        ) from None
    return data


def _describe_training(spec: Any, vocabulary: Vocabulary) -> None:
    spec.model_type = spec.BPE
    spec.vocab_size = len(vocabulary.pieces)
    spec.byte_fallback = int(gguf.TokenType.BYTE) in vocabulary.types
    spec.pad_id = -1
    for name in ("unk", "bos", "eos"):
        place = getattr(vocabulary, name)
        setattr(spec, f"{name}_id", place)
        if place >= 0:
            setattr(spec, f"{name}_piece", vocabulary.pieces[place])


def vocabulary_of_model(
    data: bytes, size: int, config: Mapping[str, Any], source: Path
) -> Vocabulary:
    """The vocabulary of a tokenizer.model, with what was added to it, up to `size` pieces.

    `config` is the model's config.json with what tokenizer_config.json says over it: ids of what
    begins and ends a text, whether the first is put there, and what was added. `UserError` names
    the source.
    """
    model = _PROTOBUF.ModelProto()
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
    return Vocabulary(
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
    is_letter = piece.type == gguf.TokenType.USER_DEFINED and len(piece.piece) == 1
    return int(gguf.TokenType.NORMAL if is_letter else piece.type)


def _added(index: int, config: Mapping[str, Any]) -> tuple[str, gguf.TokenType]:
    """What stands behind the pieces: a token of `added_tokens_decoder`, or padding."""
    added = (config.get("added_tokens_decoder") or {}).get(str(index))
    if not isinstance(added, dict) or not added.get("content"):
        return f"[PAD{index}]", gguf.TokenType.UNUSED
    is_special = bool(added.get("special"))
    kind = gguf.TokenType.CONTROL if is_special else gguf.TokenType.USER_DEFINED
    return str(added["content"]), kind


def first_id(given: int | Sequence[int] | None, default: int) -> int:
    """The id that is meant: of several ends, the first is the one that a text ends with."""
    if isinstance(given, int):
        return given
    return int(given[0]) if given else default


def add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> None:
    """State the vocabulary in a GGUF."""
    writer.add_tokenizer_model(MODEL)
    writer.add_tokenizer_pre("default")
    writer.add_token_list([piece.encode() for piece in vocabulary.pieces])
    writer.add_token_scores(vocabulary.scores)
    writer.add_token_types(vocabulary.types)
    writer.add_add_bos_token(vocabulary.add_bos)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(vocabulary.add_space_prefix)
    if vocabulary.bos >= 0:
        writer.add_bos_token_id(vocabulary.bos)
    if vocabulary.eos >= 0:
        writer.add_eos_token_id(vocabulary.eos)
    if vocabulary.unk >= 0:
        writer.add_unk_token_id(vocabulary.unk)
