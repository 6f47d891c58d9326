"""A vocabulary of merges, as Llama 3 has: out of a GGUF into a tokenizer.json, and the other way.

How a text is split before its parts are merged is in GGUF only a
name; the names here are those whose rule is known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shoritui.errors import UserError
from shoritui.gguf.vocabulary.sentencepiece import TokenType, first_id
from shoritui.gguf.write import Value
from shoritui.text import printable

MODEL: Final = "gpt2"
"""What GGUF calls it: merges of bytes."""


def _by_pattern(pattern: str) -> dict[str, Any]:
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }


def _byte_level(*, splits: bool = False) -> dict[str, Any]:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": splits,
    }


@dataclass(frozen=True, slots=True)
class _Rule:
    """How a text is split, and what else comes with it."""

    steps: tuple[dict[str, Any], ...]
    """A tokenizer.json's pre-tokenizers."""
    as_llama_3: bool = True
    """Whether a part that is a token as it is skips the merges, and a text begins with BOS unless
    the file says otherwise."""


_RULES: Final[Mapping[str, _Rule]] = {
    "llama-bpe": _Rule(
        (
            _by_pattern(
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
                r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
            ),
            _byte_level(),
        )
    ),
    "tekken": _Rule(
        (
            _by_pattern(
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
                r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
                r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
            ),
            _byte_level(),
        )
    ),
    "smollm": _Rule(
        ({"type": "Digits", "individual_digits": True}, _byte_level(splits=True)),
        as_llama_3=False,
    ),
}
"""By GGUF's names: Llama 3 and its kin, Mistral Nemo, and SmolLM. In the second, llama.cpp knows
the case of ASCII letters only: it may cut a word with other capitals within otherwise."""


@dataclass(frozen=True, slots=True)
class BpeVocabulary:
    """Tokens in bytes written as letters, and which two make one."""

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    """Of `TokenType`."""
    merges: tuple[str, ...]
    split: str
    """GGUF's name of the rule."""
    bos: int
    """-1 where there is none, as for the end."""
    eos: int
    add_bos: bool = True


def merges_of_json(text: str, size: int, config: Mapping[str, Any], source: Path) -> BpeVocabulary:
    """Return the vocabulary of a tokenizer.json, with padding up to `size` tokens.

    `config` is as for `pieces_of_model`. `UserError` names the source.
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
    return BpeVocabulary(
        tuple(names.get(index, f"[PAD{index}]") for index in range(size)),
        tuple(_type(names.get(index), added) for index in range(size)),
        tuple(merges),
        split,
        bos=first_id(config.get("bos_token_id"), -1),
        eos=first_id(config.get("eos_token_id"), -1),
        add_bos=config.get("add_bos_token") is not False,
    )


def _known_split(pre_tokenizer: Any) -> str | None:
    """Return GGUF's name of the rule; what a step says of trimming decides no token."""
    if not pre_tokenizer or pre_tokenizer.get("type") != "Sequence":
        return None
    given = [_deciding(step) for step in pre_tokenizer["pretokenizers"]]
    known = (name for name, rule in _RULES.items() if given == [*map(_deciding, rule.steps)])
    return next(known, None)


def _deciding(step: Mapping[str, Any]) -> dict[str, Any]:
    return {key: said for key, said in step.items() if key != "trim_offsets"}


def _type(token: str | None, added: Mapping[str, Mapping[str, Any]]) -> int:
    if token is None:
        return int(TokenType.UNUSED)
    if token not in added:
        return int(TokenType.NORMAL)
    is_special = bool(added[token].get("special"))
    return int(TokenType.CONTROL if is_special else TokenType.USER_DEFINED)


def gguf_merges(vocabulary: BpeVocabulary) -> dict[str, Value]:
    """Return what is stated of such a vocabulary alone, by the keys behind `tokenizer.ggml.`."""
    return {
        "model": MODEL,
        "pre": vocabulary.split,
        "tokens": vocabulary.tokens,
        "token_type": vocabulary.types,
        "merges": vocabulary.merges,
    }
