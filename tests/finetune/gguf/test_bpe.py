"""Vocabularies of merges: out of a tokenizer.json into a GGUF and back, cut as llama.cpp does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from shoritui.errors import UserError
from shoritui.finetune.export.llama import LlamaFile
from shoritui.finetune.gguf import bpe
from shoritui.finetune.gguf.bpe import Merges, merges_of_json
from shoritui.finetune.gguf.reading import GgufFile
from shoritui.finetune.gguf.tokens import add_tokens, tokens_of_folder, tokens_of_gguf, write_tokens

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
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(bpe._SPLITS[split]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
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


@pytest.fixture(scope="module", params=["llama-bpe", "tekken"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Tokenizer, Merges, LlamaFile]]:
    folder = tmp_path_factory.mktemp("merges")
    tokenizer = trained(request.param)
    tokenizer.save(str(folder / "tokenizer.json"))
    tokens = tokens_of_folder(folder, config_of(tokenizer))
    assert isinstance(tokens, Merges) and tokens.split == request.param
    with LlamaFile(write_merges(folder / "v.gguf", tokens), vocabulary_only=True) as file:
        yield tokenizer, tokens, file


def write_merges(path: Path, tokens: Merges) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    for key in ("context_length", "embedding_length", "block_count", "feed_forward_length"):
        writer.add_uint32(f"llama.{key}", 64)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens.tokens))
    add_tokens(writer, tokens)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@given(text=texts)
def test_llama_cpp_cuts_as_the_library_does(
    pair: tuple[Tokenizer, Merges, LlamaFile], text: str
) -> None:
    tokenizer, tokens, file = pair
    if tokens.split == "tekken":
        text = "".join(c for c in text if c.isascii() or c.upper() == c.lower())
    assert file.tokens(text) == tokenizer.encode(text, add_special_tokens=False).ids


def test_a_vocabulary_comes_back(pair: tuple[Tokenizer, Merges, LlamaFile], tmp_path: Path) -> None:
    tokenizer, tokens, _ = pair
    again = tokens_of_gguf(GgufFile(write_merges(tmp_path / "v.gguf", tokens)))
    assert again == tokens
    write_tokens(tmp_path, again, tmp_path)
    library = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for line in LINES[:3]:
        assert library.encode(line).ids == tokenizer.encode(line).ids
    assert tokens_of_folder(tmp_path, config_of(tokenizer)) == tokens


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
    pair: tuple[Tokenizer, Merges, LlamaFile], tmp_path: Path
) -> None:
    path = write_merges(tmp_path / "v.gguf", pair[1])
    name = pair[1].split.encode()
    path.write_bytes(path.read_bytes().replace(name, b"\x1b" + name[1:]))
    with pytest.raises(UserError, match="splits texts by the rule") as told:
        tokens_of_gguf(GgufFile(path))
    assert str(told.value).isprintable()
