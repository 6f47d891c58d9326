"""Vocabularies of merges: out of a tokenizer.json into a GGUF and back, cut as llama.cpp does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from shoritui import demo
from shoritui.errors import UserError
from shoritui.finetune.data.tokenizer import open_tokenizer
from shoritui.finetune.export.llama_cpp import LlamaFile
from shoritui.gguf import bpe
from shoritui.gguf.bpe import BpeVocabulary, merges_of_json
from shoritui.gguf.read import GgufFile
from shoritui.gguf.vocabulary import vocabulary_of_folder, vocabulary_of_gguf, write_vocabulary
from tests import smollm2
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


STORIES = Path(demo.__file__).with_name("stories")
open_once = cache(open_tokenizer)


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


def test_a_vocabulary_comes_back(
    pair: tuple[Tokenizer, BpeVocabulary, LlamaFile], tmp_path: Path
) -> None:
    tokenizer, tokens, _ = pair
    again = vocabulary_of_gguf(GgufFile(write_alone(tmp_path / "v.gguf", tokens)))
    assert again == tokens
    write_vocabulary(tmp_path, again, tmp_path)
    library = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for line in LINES[:3]:
        assert library.encode(line).ids == tokenizer.encode(line).ids
    assert vocabulary_of_folder(tmp_path, config_of(tokenizer)) == tokens


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


def test_an_unknown_rule_in_a_gguf_is_told(
    pair: tuple[Tokenizer, BpeVocabulary, LlamaFile], tmp_path: Path
) -> None:
    path = write_alone(tmp_path / "v.gguf", pair[1])
    name = pair[1].split.encode()
    path.write_bytes(path.read_bytes().replace(name, b"\x1b" + name[1:]))
    with pytest.raises(UserError, match="splits texts by the rule") as told:
        vocabulary_of_gguf(GgufFile(path))
    assert str(told.value).isprintable()


@pytest.fixture(scope="module")
def smollm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LlamaFile, Path]]:
    source, folder = smollm2.installed(), tmp_path_factory.mktemp("smollm")
    write_vocabulary(folder, vocabulary_of_gguf(GgufFile(source)), source)
    with LlamaFile(source, vocabulary_only=True) as file:
        yield file, folder


@given(
    text=st.one_of(
        texts,
        st.text(alphabet=" \n\r\t\x0b\xa0\u2003'sl0٣½Ⅷ▀▄é-", max_size=40),
        st.text(max_size=4),
    )
)
def test_smollm2_is_cut_as_llama_cpp_does(smollm: tuple[LlamaFile, Path], text: str) -> None:
    file, folder = smollm
    tokenizer = open_once(folder)
    assert tokenizer.bos is None and file.begin is None
    assert file.tokens(text) == tokenizer.ids(text)


def test_the_stories_are_cut_as_llama_cpp_does(smollm: tuple[LlamaFile, Path]) -> None:
    file, folder = smollm
    tokenizer = open_once(folder)
    for path in STORIES.rglob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert file.tokens(text) == tokenizer.ids(text)
        assert tokenizer.text(tokenizer.ids(text)) == text
