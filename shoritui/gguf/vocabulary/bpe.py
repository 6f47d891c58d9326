"""A vocabulary of merges, as most models have today: out of a tokenizer.json, into a GGUF.

A tokenizer.json holds the rule by which a text is split before its parts are merged; a GGUF holds
only a name of one of llama.cpp's rules. Which one is meant is found by trying (see `rule`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from shoritui.errors import UserError
from shoritui.gguf.vocabulary.rule import INSTEAD, RULES, found_rule, prove
from shoritui.gguf.vocabulary.sentencepiece import (
    SentencePieceVocabulary,
    TokenType,
    first_id,
    gguf_pieces,
)
from shoritui.gguf.vocabulary.tokenizer_json import TokenizerJson
from shoritui.gguf.write import Value
from shoritui.text import printable

MODEL: Final = "gpt2"
"""What GGUF calls it: merges of bytes."""
_BYTE: Final = re.compile("<0x[0-9A-F]{2}>")


@dataclass(frozen=True, slots=True)
class BpeVocabulary:
    """Tokens in bytes written as letters, and which two make one."""

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    """Of `TokenType`."""
    merges: tuple[str, ...]
    split: str
    """llama.cpp's name of the rule."""
    bos: int
    """-1 where there is none, as for the end."""
    eos: int
    add_bos: bool = True
    add_space_prefix: bool = False


def merges_of_json(
    text: str, size: int, config: Mapping[str, Any], source: Path
) -> BpeVocabulary | SentencePieceVocabulary:
    """Return the vocabulary of a tokenizer.json, with padding up to `size` tokens.

    Merges of bytes are one kind; merges of letters, with bytes for the rest, are SentencePiece's
    written otherwise. Either is tried by llama.cpp, on texts of all kinds and on its own tokens.

    `config` is what config.json says, with what tokenizer_config.json says over it. `UserError`
    names the source, and where llama.cpp would cut a text otherwise.
    """
    try:
        library = TokenizerJson(text, config)
        model = library.document["model"]
        if model["type"] != "BPE":
            raise UserError(
                f"{source} is of the kind {printable(model['type'])!r}, of which no GGUF is made "
                f"here: {INSTEAD}."
            )
        words = _Words(library.document, size)
        merges = [one if isinstance(one, str) else " ".join(one) for one in model["merges"]]
    except UserError:
        raise
    except Exception as error:  # tokenizers raises nothing more exact
        raise UserError(f"{source} is no tokenizer.json ({printable(error)}).") from None
    if words.highest >= size:
        raise UserError(f"{source} has more tokens than the {size} of the network.")
    begins = library.bos is not None
    common: dict[str, Any] = {
        "bos": library.bos if begins else first_id(config.get("bos_token_id"), -1),
        "eos": first_id(config.get("eos_token_id"), -1 if library.eos is None else library.eos),
        "add_bos": begins,
        "add_space_prefix": library.space_prefix,
    }
    if _merges_bytes(library.document):
        merged = BpeVocabulary(words.tokens, words.types, tuple(merges), RULES[0], **common)
        rule = found_rule(gguf_merges(merged), library, source)
        return replace(merged, split=rule)
    pieces = _pieces(words, merges, model.get("unk_token"), common)
    prove(gguf_pieces(pieces), library, source)
    return pieces


class _Words:
    """The tokens of a tokenizer.json in order, with padding between and behind them."""

    def __init__(self, document: Mapping[str, Any], size: int) -> None:
        added = {str(one["content"]): one for one in document.get("added_tokens") or ()}
        ids = {str(token): int(index) for token, index in document["model"]["vocab"].items()}
        ids |= {token: int(one["id"]) for token, one in added.items()}
        names = {index: token for token, index in ids.items()}
        self.highest = max(names, default=0)
        self.tokens = tuple(names.get(index, f"[PAD{index}]") for index in range(size))
        self.types = tuple(_type(names.get(index), added) for index in range(size))


def _type(token: str | None, added: Mapping[str, Mapping[str, Any]]) -> int:
    if token is None:
        return int(TokenType.UNUSED)
    if token not in added:
        return int(TokenType.NORMAL)
    is_special = bool(added[token].get("special"))
    return int(TokenType.CONTROL if is_special else TokenType.USER_DEFINED)


def _merges_bytes(document: Mapping[str, Any]) -> bool:
    """Return whether texts become bytes, written as letters, before anything is merged."""
    splitter = document.get("pre_tokenizer") or {}
    steps = splitter.get("pretokenizers", [splitter])
    return any(step.get("type") == "ByteLevel" for step in steps)


def _pieces(
    words: _Words, merges: Sequence[str], unknown: str | None, common: Mapping[str, Any]
) -> SentencePieceVocabulary:
    """Return merges as SentencePiece states them: what is merged first has the highest score."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        ranks.setdefault(merge.replace(" ", "", 1), rank)
    types = list(words.types)
    for index, token in enumerate(words.tokens):
        if types[index] == TokenType.NORMAL and _BYTE.fullmatch(token):
            types[index] = int(TokenType.BYTE)
    unk = words.tokens.index(unknown) if unknown in words.tokens else -1
    if unk >= 0:
        types[unk] = int(TokenType.UNKNOWN)
    return SentencePieceVocabulary(
        words.tokens,
        tuple(-float(ranks.get(token, len(merges))) for token in words.tokens),
        tuple(types),
        unk=unk,
        **common,
    )


def gguf_merges(vocabulary: BpeVocabulary) -> dict[str, Value]:
    """Return what is stated of such a vocabulary alone, by the keys behind `tokenizer.ggml.`."""
    return {
        "model": MODEL,
        "pre": vocabulary.split,
        "tokens": vocabulary.tokens,
        "token_type": vocabulary.types,
        "merges": vocabulary.merges,
        "add_space_prefix": vocabulary.add_space_prefix,
    }
