"""Which of llama.cpp's rules splits texts as a tokenizer.json does: found by trying them.

    probes ──▶ tokenizer.json's steps, then merges of any two bytes ─┐
           └─▶ llama.cpp's rule,       then merges of any two bytes ─┴─▶ the same ids?

Where any two bytes may merge that follow each other in a token, it shows in the ids wherever a text
is split; the vocabulary's own merges would hide that until a text comes that they join otherwise.
Of the rules that split alike, the one is taken by which the vocabulary itself then gives the same
ids, also of what its tokens stand for. Beyond ASCII, llama.cpp's rules are rough in places (tekken
and gpt-4o know the case of ASCII letters only, and no combining marks), as is every chat with such
a model; so a few differences are allowed there.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

from shoritui.errors import UserError
from shoritui.files import temporary_folder
from shoritui.gguf.llama_cpp import LlamaFile
from shoritui.gguf.vocabulary.probes import PROBES
from shoritui.gguf.vocabulary.sentencepiece import TokenType
from shoritui.gguf.vocabulary.tokenizer_json import TokenizerJson
from shoritui.gguf.write import Value, write_gguf
from shoritui.text import printable

RULES: Final = (
    *("llama-bpe", "qwen2", "tekken", "smollm", "gpt-2", "gpt-4o", "deepseek-v3", "glm4"),
    *("dbrx", "qwen35", "falcon", "deepseek-llm", "deepseek-coder", "seed-coder", "exaone-moe"),
    *("bailingmoe", "jais-2", "superbpe", "bloom", "viking", "youtu", "afmoe", "tiny_aya"),
    *("minicpm5", "laguna", "chameleon", "spark2_5", "ufakzeka"),
)
"""By llama.cpp's names (`llm_tokenizer_bpe` in its llama-vocab.cpp), one for each way of cutting.

Where several names mean the same, the best known stands for all: smollm for starcoder, command-r
and refact, gpt-2 for olmo and mpt, gpt-4o for llama4, qwen2 for stablelm2.
"""
INSTEAD: Final = "export a LoRA GGUF, which needs no vocabulary, or with --as peft"
_TOKENS_TRIED: Final = 20_000
_NOISE: Final = 300
_ROUGH: Final = 0.05
"""Of the probes, how many may be cut otherwise beyond ASCII."""
_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class _Trial:
    rule: str
    other: Sequence[str]
    """The texts that are cut otherwise."""
    texts: int

    @property
    def is_alike(self) -> bool:
        """Whether it splits texts well enough."""
        is_near = len(self.other) <= self.texts * _ROUGH
        return is_near and not any(text.isascii() for text in self.other)


def found_rule(metadata: Mapping[str, Value], library: TokenizerJson, source: Path) -> str:
    """Return the rule by which llama.cpp cuts texts as the library does.

    `metadata` is the vocabulary, by the keys behind `tokenizer.ggml.`. `UserError` names `source`
    and, of the rule that comes nearest, the first difference.
    """
    probes = [*PROBES, *_noise()]
    pairs = _Pairs(probes, library)
    trials = []
    for trial in _tried(pairs.metadata, RULES, probes, pairs.ids(probes), source):
        if not trial.other and not _of_vocabulary(metadata, library, source, trial.rule).other:
            return trial.rule
        trials.append(trial)
    near = sorted(trials, key=lambda each: len(each.other))
    if not near[0].is_alike:
        raise UserError(_refusal(near[0], library, source))
    alike = [each.rule for each in near if each.is_alike]
    tried = [_of_vocabulary(metadata, library, source, rule) for rule in alike]
    return _proven(min(tried, key=lambda each: len(each.other)), library, source)


def prove(metadata: Mapping[str, Value], library: TokenizerJson, source: Path) -> None:
    """See that a vocabulary which states no rule gives the library's ids; `UserError` as before."""
    _proven(_of_vocabulary(metadata, library, source, ""), library, source)


def _proven(trial: _Trial, library: TokenizerJson, source: Path) -> str:
    if any(text.isascii() for text in trial.other):
        raise UserError(_refusal(trial, library, source))
    return trial.rule


def _of_vocabulary(
    metadata: Mapping[str, Value], library: TokenizerJson, source: Path, rule: str
) -> _Trial:
    texts = [*PROBES, *_own_texts(library)]
    return next(_tried(metadata, (rule,), texts, library.many(texts), source))


def _tried(
    metadata: Mapping[str, Value],
    rules: Sequence[str],
    texts: Sequence[str],
    wanted: Sequence[list[int]],
    source: Path,
) -> Iterator[_Trial]:
    """Yield what llama.cpp makes of the texts by each rule that it knows.

    `UserError` if it knows none.
    """
    with temporary_folder() as folder:
        path = folder / "vocabulary.gguf"
        stated = {f"tokenizer.ggml.{key}": value for key, value in metadata.items()}
        write_gguf(path, {"general.architecture": "llama", **stated}, [])
        problems = []
        for rule in rules:
            try:
                with LlamaFile(path, vocabulary_only=True, rule=rule) as file:
                    found = file.many(texts)
            except UserError as error:  # another release of llama.cpp may not have it
                problems.append(str(error).replace(str(path), f"the vocabulary of {source}"))
                continue
            cut = zip(texts, found, wanted, strict=True)
            yield _Trial(rule, [text for text, one, two in cut if one != two], len(texts))
        if len(problems) == len(rules):
            raise UserError(problems[0])


class _Pairs:
    """A vocabulary in which any two bytes merge that follow each other in another's tokens."""

    def __init__(self, probes: Sequence[str], library: TokenizerJson) -> None:
        written = ["".join(map(_LETTERS.__getitem__, text.encode())) for text in probes]
        joined = {pair for token in library.document["model"]["vocab"] for pair in pairwise(token)}
        pairs = sorted({pair for text in written for pair in pairwise(text)} & joined)
        Random(0).shuffle(pairs)
        self._tokens = [*_LETTERS, *map("".join, pairs)]
        self._merges = [" ".join(pair) for pair in pairs]
        self._library = library

    @property
    def metadata(self) -> dict[str, Value]:
        """The same, by the keys behind `tokenizer.ggml.`."""
        return {
            "model": "gpt2",
            "pre": "default",
            "tokens": self._tokens,
            "token_type": [int(TokenType.NORMAL)] * len(self._tokens),
            "merges": self._merges,
        }

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids that texts get by the steps of the tokenizer.json and these merges."""
        model = {
            "type": "BPE",
            "vocab": {token: index for index, token in enumerate(self._tokens)},
            "merges": self._merges,
        }
        changes: dict[str, Any] = {
            "model": model,
            "added_tokens": [],
            "post_processor": None,
            "decoder": None,
        }
        return TokenizerJson(json.dumps(self._library.document | changes), {}).many(texts)


def _letters() -> tuple[str, ...]:
    """Return the letters in which bytes are written before they are merged: GPT-2's."""
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = (chr(0x100 + place) for place in count())
    return tuple(chr(byte) if byte in shown else next(hidden) for byte in range(0x100))


_LETTERS: Final = _letters()


def _noise() -> list[str]:
    """Return texts of what rules tell apart, in any order, always the same."""
    draw = Random(0)
    parts = (
        *"aAzZ09 \n\t'.,!-/_*\"(\r▀▄",
        "  ",
        "'s",
        "'LL",
        "word",
        "Word",
        "123",
        "你好",
        "é",
        "🙂",
    )
    return ["".join(draw.choices(parts, k=draw.randint(2, 16))) for _ in range(_NOISE)]


def _own_texts(library: TokenizerJson) -> Iterator[str]:
    """Yield what tokens stand for, of a large vocabulary some; those that are no whole text not."""
    for index in range(0, library.size, library.size // _TOKENS_TRIED + 1):
        text = library.decoded([index])
        if text and "\ufffd" not in text and unicodedata.is_normalized("NFC", text):
            yield text


def _refusal(nearest: _Trial, library: TokenizerJson, source: Path) -> str:
    text = next(filter(str.isascii, nearest.other), nearest.other[0])
    shown = printable(repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."))
    by = f" by {nearest.rule!r}, which comes nearest," if nearest.rule else ""
    return (
        f"{source} splits texts by {_named(library.document)}, for which llama.cpp has no rule "
        f"that is known here:{by} it cuts {shown} otherwise. {INSTEAD[0].upper()}{INSTEAD[1:]}."
    )


def _named(document: Mapping[str, Any]) -> str:
    """Return what a tokenizer.json does with a text before anything is merged."""
    names = []
    for part, several in (("normalizer", "normalizers"), ("pre_tokenizer", "pretokenizers")):
        step = document.get(part) or {}
        for each in step.get(several, [step] if step else []):
            pattern = each.get("pattern") or {}
            said = pattern.get("Regex") or pattern.get("String") or ""
            names.append(
                f"{each.get('type')} {printable(said)[:_SHOWN]!r}" if said else each["type"]
            )
    return printable(" + ".join(map(str, names))) or "nothing"
