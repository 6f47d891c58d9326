"""Vocabularies of merges: out of a tokenizer.json into a GGUF, cut as llama.cpp does."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.errors import UserError
from shoritui.gguf.llama_cpp import LlamaFile
from shoritui.gguf.read import GgufFile
from shoritui.gguf.vocabulary import (
    BpeVocabulary,
    SentencePieceVocabulary,
    vocabulary_of_folder,
)
from shoritui.gguf.vocabulary.bpe import merges_of_json
from shoritui.gguf.vocabulary.probes import PROBES
from shoritui.gguf.vocabulary.tokenizer_json import TokenizerJson
from tests import smollm2
from tests.gguf.splits import DIGITS, SPLITS, byte_level, learned
from tests.gguf.tiny import write_alone
from tests.gguf.vocabularies import shipped

texts = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=" \n\tabLlsSdDtT'12345.,!?▀▄éÉ-/", max_size=80),
    st.lists(st.sampled_from(PROBES), max_size=3).map("".join),
)
CAPITALS = ("tekken", "gpt-4o")
"""Of these, llama.cpp knows the case of ASCII letters only, and no marks."""
ROUGH_SPACES = ("deepseek-coder",)
"""Of these, what is a space is not the same everywhere."""


class Pair:
    """A vocabulary in the library, and what became of it in llama.cpp."""

    def __init__(self, folder: Path, name: str, text: str, **config: Any) -> None:
        self.name = name
        self.library = TokenizerJson(text, {})
        (folder / "tokenizer.json").write_text(text, encoding="utf-8")
        self.tokens = vocabulary_of_folder(folder, {"vocab_size": self.library.size + 3, **config})
        assert isinstance(self.tokens, BpeVocabulary | SentencePieceVocabulary)
        path = write_alone(folder / "v.gguf", self.tokens)
        self.file = LlamaFile(path, vocabulary_only=True)

    def check(self, text: str) -> None:
        """See that both cut a text alike, but where llama.cpp is known not to."""
        text = unicodedata.normalize("NFC", text)
        if self.name in CAPITALS:
            text = "".join(
                c
                for c in text
                if c.isascii() or (c.upper() == c.lower() and unicodedata.category(c)[0] != "M")
            )
        if self.name in ROUGH_SPACES:
            text = "".join(c for c in text if c.isascii() or not c.isspace())
        assert self.file.tokens(text) == self.library.many([text])[0]


@pytest.fixture(scope="module", params=sorted(SPLITS))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    name = request.param
    changes = {"normalizer": {"type": "NFC"}} if name == "qwen2" else {}
    tokenizer = learned(name, **changes)
    return Pair(tmp_path_factory.mktemp("merges"), name, tokenizer.to_str(), eos_token_id=1)


@given(text=texts)
def test_llama_cpp_cuts_as_the_library_does(pair: Pair, text: str) -> None:
    pair.check(text)


def test_what_is_stated_of_a_vocabulary(pair: Pair) -> None:
    tokens = pair.tokens
    assert isinstance(tokens, BpeVocabulary)
    assert (tokens.bos, tokens.eos, tokens.add_bos) == (-1, 1, False)
    assert tokens.tokens[-1].startswith("[PAD") and pair.file.begin is None


@pytest.fixture(scope="module")
def smollm(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The tokenizer.json of SmolLM2, whose merges its GGUF has."""
    file = GgufFile(smollm2.installed())
    tokens = file.texts("tokenizer.ggml.tokens")
    types = file.numbers("tokenizer.ggml.token_type")
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    added = [
        {"id": index, "content": token, "special": True, **plain}
        for index, token in enumerate(tokens)
        if types[index] == 3
    ]
    model = {
        "type": "BPE",
        "vocab": {token: index for index, token in enumerate(tokens)},
        "merges": file.texts("tokenizer.ggml.merges"),
    }
    steps = {"type": "Sequence", "pretokenizers": [DIGITS, byte_level(splits=True)]}
    document = {"added_tokens": added, "pre_tokenizer": steps, "model": model}
    described = document | {"decoder": byte_level()}
    return Pair(tmp_path_factory.mktemp("smollm"), "smollm", json.dumps(described))


@given(
    text=st.one_of(
        texts,
        st.text(alphabet=" \n\r\t\x0b\xa0\u2003'sl0٣½Ⅷ▀▄é-", max_size=40),
        st.text(max_size=4),
    )
)
def test_smollm2_is_cut_alike(smollm: Pair, text: str) -> None:
    smollm.check(text)


def test_the_rule_of_smollm2_is_found(smollm: Pair) -> None:
    assert isinstance(smollm.tokens, BpeVocabulary) and smollm.tokens.split == "smollm"
    assert not smollm.tokens.add_bos


PREPENDED = [{"type": "Prepend", "prepend": "▁"}]


@pytest.fixture(scope="module", params=[[], PREPENDED], ids=["as Gemma", "as Llama 2"])
def pieces(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Pieces of SentencePiece, written as merges."""
    tokens = shipped()
    vocabulary = {piece: index for index, piece in enumerate(tokens.pieces)}
    best = sorted(vocabulary, key=lambda piece: -tokens.scores[vocabulary[piece]])
    normal = [piece for piece in best if tokens.types[vocabulary[piece]] == 1]
    merges = [
        [piece[:at], piece[at:]]
        for piece in normal
        for at in range(1, len(piece))
        if piece[:at] in vocabulary and piece[at:] in vocabulary
    ]
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    added = [
        {"id": index, "content": tokens.pieces[index], "special": True, **plain}
        for index in range(3)
    ]
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    document = {
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [*request.param, spaces]},
        "model": {
            "type": "BPE",
            "vocab": vocabulary,
            "merges": merges,
            "byte_fallback": True,
            "fuse_unk": True,
            "unk_token": "<unk>",
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
    }
    yield Pair(tmp_path_factory.mktemp("pieces"), "pieces", json.dumps(document))


@given(text=texts)
def test_pieces_that_are_written_as_merges_are_cut_alike(pieces: Pair, text: str) -> None:
    pieces.check(text.replace("▁", " "))


def test_a_space_before_a_document_is_stated(pieces: Pair) -> None:
    assert isinstance(pieces.tokens, SentencePieceVocabulary)
    assert pieces.file.space_prefix == (" " if pieces.tokens.add_space_prefix else "")
    assert pieces.library.space_prefix == pieces.tokens.add_space_prefix


LOWERCASE = {"type": "Lowercase"}
WORDS = {"type": "WordLevel", "vocab": {"x": 0}, "unk_token": "x"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [LOWERCASE, byte_level()]}},
            "is no tokenizer.json",
        ),
        ({"normalizer": LOWERCASE}, r"splits texts by Lowercase \+ Split .*otherwise. Export a"),
        (
            {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [DIGITS, byte_level()]}},
            r"splits texts by Digits \+ ByteLevel, .*: by '.*', which comes nearest, it cuts",
        ),
        ({"model": WORDS}, "of the kind 'WordLevel', of which no GGUF is made"),
        ({"model": None}, "is no tokenizer.json"),
    ],
)
def test_what_llama_cpp_has_no_rule_for_is_told(change: dict[str, Any], sentence: str) -> None:
    document = json.loads(learned("llama-bpe").to_str()) | change
    with pytest.raises(UserError, match=sentence) as told:
        merges_of_json(json.dumps(document), 600, {}, Path("tokenizer.json"))
    assert str(told.value).isprintable()


def test_more_tokens_than_the_network_has_are_told() -> None:
    with pytest.raises(UserError, match="has more tokens than the 10 of the network"):
        merges_of_json(learned("gpt-2").to_str(), 10, {}, Path("tokenizer.json"))


def test_no_probe_is_decomposed() -> None:
    assert all(unicodedata.is_normalized("NFC", text) for text in PROBES)
