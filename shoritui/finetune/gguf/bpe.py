"""A vocabulary of merges, as Llama 3 has: out of a GGUF into a tokenizer.json, and the other way.

It does not know the network. How a text is split before its parts are merged is in GGUF only a
name; the names here are those whose rule is known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gguf

from shoritui.errors import UserError
from shoritui.finetune.gguf.reading import GgufFile, printable
from shoritui.finetune.gguf.vocabulary import first_id

MODEL: Final = "gpt2"
"""What GGUF calls it: merges of bytes."""
_SPLITS: Final[Mapping[str, str]] = {
    "llama-bpe": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "tekken": (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}
"""By GGUF's names: Llama 3 and its kin, and Mistral Nemo. In the second, llama.cpp knows the case
of ASCII letters only: it may cut a word with other capitals within otherwise."""


@dataclass(frozen=True, slots=True)
class Merges:
    """Tokens in bytes written as letters, and which two make one."""

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    """As `gguf.TokenType`."""
    merges: tuple[str, ...]
    split: str
    """GGUF's name of the rule."""
    bos: int
    """-1 where there is none, as for the end."""
    eos: int
    add_bos: bool = True


def merges_of_gguf(file: GgufFile) -> Merges:
    """The vocabulary that a GGUF holds; `UserError` if its rule is not known here."""
    split = file.text("tokenizer.ggml.pre", "")
    if split not in _SPLITS:
        raise UserError(
            f"{file.path} splits texts by the rule {printable(split)!r}, which is not known here: "
            "take the model's own folder instead."
        )
    tokens, merges = file.texts("tokenizer.ggml.tokens"), file.texts("tokenizer.ggml.merges")
    types = [int(kind) for kind in file.numbers("tokenizer.ggml.token_type")]
    if not tokens or len(types) != len(tokens):
        raise UserError(f"{file.path}: its vocabulary is damaged: take another file.")
    bos, eos = (file.whole(f"tokenizer.ggml.{name}_token_id", -1) for name in ("bos", "eos"))
    return Merges(
        *(tuple(tokens), tuple(types), tuple(merges), split),
        bos=bos if bos < len(tokens) else -1,
        eos=eos if eos < len(tokens) else -1,
        add_bos=file.flag("tokenizer.ggml.add_bos_token", True),
    )


def tokenizer_json(vocabulary: Merges, source: Path) -> str:
    """The text of a tokenizer.json; `UserError` naming the source if it cannot be one."""
    from tokenizers import Tokenizer

    added = (gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED)
    text = json.dumps(
        {
            "version": "1.0",
            "added_tokens": [
                _added(index, token, kind == gguf.TokenType.CONTROL)
                for index, (token, kind) in enumerate(
                    zip(vocabulary.tokens, vocabulary.types, strict=True)
                )
                if kind in added
            ],
            "pre_tokenizer": _pre_tokenizer(_SPLITS[vocabulary.split]),
            "decoder": _byte_level(),
            "model": {
                "type": "BPE",
                "vocab": {
                    token: index
                    for index, token in enumerate(vocabulary.tokens)
                    if vocabulary.types[index] != gguf.TokenType.UNUSED
                },
                "merges": [merge.split(" ", 1) for merge in vocabulary.merges],
                "ignore_merges": True,
            },
        },
        ensure_ascii=False,
    )
    try:
        Tokenizer.from_str(text)
    except Exception as error:  # tokenizers raises nothing more exact
        raise UserError(
            f"{source}: its merges are damaged ({printable(str(error))}): take another file."
        ) from None
    return text


def _added(index: int, token: str, is_special: bool) -> dict[str, Any]:
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": index, "content": token, "special": is_special} | plain


def _pre_tokenizer(split: str) -> dict[str, Any]:
    by_rule = {
        "type": "Split",
        "pattern": {"Regex": split},
        "behavior": "Isolated",
        "invert": False,
    }
    return {"type": "Sequence", "pretokenizers": [by_rule, _byte_level()]}


def _byte_level() -> dict[str, Any]:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }


def merges_of_json(text: str, size: int, config: Mapping[str, Any], source: Path) -> Merges:
    """The vocabulary of a tokenizer.json, with padding up to `size` tokens.

    `config` is as for `vocabulary_of_model`. `UserError` names the source.
    """
    try:
        document = json.loads(text)
        model = document["model"]
        split = _known_split(document.get("pre_tokenizer"))
        if model["type"] != "BPE" or document.get("normalizer") or split is None:
            raise UserError(
                f"{source}: llama.cpp has no name here for how it splits texts: export with "
                "--as peft."
            )
        ids = {str(token): int(index) for token, index in model["vocab"].items()}
        added = {str(one["content"]): one for one in document.get("added_tokens") or ()}
        ids |= {token: int(one["id"]) for token, one in added.items()}
        merges = [one if isinstance(one, str) else " ".join(one) for one in model["merges"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{source} is no tokenizer.json ({printable(str(error))}).") from None
    names = {index: token for token, index in ids.items()}
    if max(names, default=0) >= size:
        raise UserError(f"{source} has more tokens than the {size} of the network.")
    return Merges(
        tuple(names.get(index, f"[PAD{index}]") for index in range(size)),
        tuple(_type(names.get(index), added) for index in range(size)),
        tuple(merges),
        split,
        bos=first_id(config.get("bos_token_id"), -1),
        eos=first_id(config.get("eos_token_id"), -1),
        add_bos=config.get("add_bos_token") is not False,
    )


def _known_split(pre_tokenizer: Any) -> str | None:
    for name, split in _SPLITS.items():
        wanted = _pre_tokenizer(split)["pretokenizers"]
        if pre_tokenizer and pre_tokenizer.get("type") == "Sequence":
            given: Sequence[dict[str, Any]] = pre_tokenizer["pretokenizers"]
            if given[0] == wanted[0] and [one["type"] for one in given[1:]] == ["ByteLevel"]:
                return name
    return None


def _type(token: str | None, added: Mapping[str, Mapping[str, Any]]) -> int:
    if token is None:
        return int(gguf.TokenType.UNUSED)
    if token not in added:
        return int(gguf.TokenType.NORMAL)
    is_special = bool(added[token].get("special"))
    return int(gguf.TokenType.CONTROL if is_special else gguf.TokenType.USER_DEFINED)


def add_merges(writer: gguf.GGUFWriter, vocabulary: Merges) -> None:
    """State the vocabulary in a GGUF."""
    writer.add_tokenizer_model(MODEL)
    writer.add_tokenizer_pre(vocabulary.split)
    writer.add_token_list([token.encode() for token in vocabulary.tokens])
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges([merge.encode() for merge in vocabulary.merges])
    writer.add_add_bos_token(vocabulary.add_bos)
    writer.add_add_eos_token(False)
    if vocabulary.bos >= 0:
        writer.add_bos_token_id(vocabulary.bos)
    if vocabulary.eos >= 0:
        writer.add_eos_token_id(vocabulary.eos)
