"""Vocabularies that the `tokenizers` library learned, splitting texts as known models do."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

LINES = [
    "The lamp's light fell on 12345 stones; she'd waited. IT'S LOUD, isn't it? 1999, 2024.",
    "▀message (length: tiny)\nAda: _Oh,_ said Ada.▄\n\n  Two  spaces.\tAnd tabs!\r\n\r\n    four",
    "Schönes Wetter in ÉTÉ, naïve CamelCase words: Привет, мир! 你好，世界 こんにちは 🙂 ... -- **",
    "def f(x):\n    return x_1 + 10000  # http://a.b/c?d=e\n",
] * 20

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_CAPITALS = rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+"
_CAPITALS_FIRST = rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*"
_SLASHES = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_DEEPSEEK = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def split(pattern: str) -> dict[str, Any]:
    """A step that cuts out whatever the pattern finds."""
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def byte_level(*, splits: bool = False) -> dict[str, Any]:
    """The step that turns bytes into letters."""
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": splits,
    }


DIGITS = {"type": "Digits", "individual_digits": True}
_LLAMA_3 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}{_REST}"
_QWEN_2 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{_REST}"

SPLITS: dict[str, list[dict[str, Any]]] = {
    "llama-bpe": [split(_LLAMA_3), byte_level()],
    "dbrx": [split(_LLAMA_3), byte_level()],
    "qwen2": [split(_QWEN_2), byte_level()],
    "qwen35": [
        split(
            rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
            r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        byte_level(),
    ],
    "tekken": [split(rf"{_CAPITALS}|{_CAPITALS_FIRST}|\p{{N}}{_SLASHES}"), byte_level()],
    "gpt-4o": [
        split(
            rf"{_CAPITALS}{_CONTRACTIONS}?|{_CAPITALS_FIRST}{_CONTRACTIONS}?"
            rf"|\p{{N}}{{1,3}}{_SLASHES}"
        ),
        byte_level(),
    ],
    "smollm": [DIGITS, byte_level(splits=True)],
    "gpt-2": [byte_level(splits=True)],
    "deepseek-v3": [
        split(r"\p{N}{1,3}"),
        split(r"[一-龥぀-ゟ゠-ヿ]+"),
        split(_DEEPSEEK),
        byte_level(),
    ],
    "deepseek-coder": [
        split(r"[\r\n]"),
        split(r"\s?\p{L}+"),
        split(r"\s?\p{P}+"),
        split(r"[一-龥ࠀ-一가-퟿]+"),
        DIGITS,
        byte_level(),
    ],
    "falcon": [
        {"type": "Punctuation", "behavior": "Contiguous"},
        byte_level(splits=True),
        {"type": "Digits", "individual_digits": False},
        split("[0-9][0-9][0-9]"),
    ],
    "seed-coder": [
        split(
            rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1}}"
            r"| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        byte_level(),
    ],
    "bailingmoe": [
        split(
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}"
            r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
        ),
        byte_level(),
    ],
    "bloom": [split(r" ?[^(\s|[.,!?…。，、।۔،])]+"), byte_level()],
}
"""The pre-tokenizers of tokenizer.json, by llama.cpp's names."""
IGNORE_MERGES = ("llama-bpe", "tekken", "glm4")


def learned(name: str, **document: Any) -> Tokenizer:
    """A vocabulary of a few hundred tokens that splits texts by one of SPLITS."""
    empty = Tokenizer(models.BPE(ignore_merges=name in IGNORE_MERGES))
    steps = {"type": "Sequence", "pretokenizers": SPLITS[name]}
    described = json.loads(empty.to_str()) | {"pre_tokenizer": steps} | document
    tokenizer = Tokenizer.from_str(json.dumps(described))
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<|begin|>", "<|end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES, trainer)
    return tokenizer
