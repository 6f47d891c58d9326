"""Vocabularies of merges: out of a tokenizer.json into a GGUF, cut as llama.cpp does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from shoritui.errors import UserError
from shoritui.gguf.llama_cpp import LlamaFile
from shoritui.gguf.vocabulary import BpeVocabulary, bpe, vocabulary_of_folder
from shoritui.gguf.vocabulary.bpe import merges_of_json
from tests.gguf.tiny import write_alone

LINES = [
    "The lamp's light fell on 12345 stones; she'd waited.",
    "▀message (length: tiny)\nAda: _Oh,_ said Ada.▄\n\n  Two  spaces.\tAnd tabs!",
    "Schönes Wetter in ÉTÉ, naïve CamelCase words, IT'S LOUD.",
] * 20
texts = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=" \n\tabLlsSdDtT'12345.,!?▀▄éÉ-/", max_size=80),
)


def trained(split: str) -> Tokenizer:
    """A vocabulary that the library itself has learned."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=split != "smollm"))
    if split == "smollm":
        first: Any = pre_tokenizers.Digits(individual_digits=True)
    else:
        pattern = bpe._RULES[split].steps[0]["pattern"]["Regex"]
        first = pre_tokenizers.Split(Regex(pattern), "isolated")
    second = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split == "smollm")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, second])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|begin|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES, trainer)
    return tokenizer


def config_of(tokenizer: Tokenizer) -> dict[str, Any]:
    size = tokenizer.get_vocab_size() + 3
    return {"vocab_size": size, "bos_token_id": 0, "eos_token_id": 1}


@pytest.fixture(scope="module", params=["llama-bpe", "tekken", "smollm"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Tokenizer, BpeVocabulary, LlamaFile]]:
    folder = tmp_path_factory.mktemp("merges")
    tokenizer = trained(request.param)
    tokenizer.save(str(folder / "tokenizer.json"))
    tokens = vocabulary_of_folder(folder, config_of(tokenizer))
    assert isinstance(tokens, BpeVocabulary) and tokens.split == request.param
    with LlamaFile(write_alone(folder / "v.gguf", tokens), vocabulary_only=True) as file:
        yield tokenizer, tokens, file


@given(text=texts)
def test_llama_cpp_cuts_as_the_library_does(
    pair: tuple[Tokenizer, BpeVocabulary, LlamaFile], text: str
) -> None:
    tokenizer, tokens, file = pair
    if tokens.split == "tekken":
        text = "".join(c for c in text if c.isascii() or c.upper() == c.lower())
    assert file.tokens(text) == tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pre_tokenizer": {"type": "Whitespace"}}, "has no name here"),
        ({"normalizer": {"type": "NFC"}}, "has no name here"),
        ({"model": {"type": "Unigram"}}, "has no name here"),
        ({"model": None}, "is no tokenizer.json"),
    ],
)
def test_what_has_no_name_in_a_gguf_is_told(change: dict[str, Any], sentence: str) -> None:
    document = json.loads(trained("llama-bpe").to_str()) | change
    with pytest.raises(UserError, match=sentence):
        merges_of_json(json.dumps(document), 500, {}, Path("tokenizer.json"))
