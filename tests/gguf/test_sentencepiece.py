"""Vocabularies of SentencePiece in a GGUF: llama.cpp cuts texts as SentencePiece does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from shoritui.errors import UserError
from shoritui.gguf.llama_cpp import LlamaFile
from shoritui.gguf.vocabulary import vocabulary_of_folder
from shoritui.gguf.vocabulary.sentencepiece import pieces_of_model
from tests.gguf.tiny import write_alone
from tests.gguf.vocabularies import shipped, write_pieces

texts = st.one_of(
    st.text(),
    st.text(alphabet=" ▀▄\nabcdeABC.,\"'_*:🙂é\t", max_size=80),
    st.lists(
        st.sampled_from(["▀message", " Ada", ": ", "  ", "<s>", "</s>", "<0x0A>", "▁", "!"])
    ).map("".join),
)


@pytest.fixture(scope="module", params=[False, True], ids=["bare", "prefixed"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SentencePieceProcessor, LlamaFile]]:
    folder = tmp_path_factory.mktemp("vocabulary")
    tokens = replace(shipped(), add_space_prefix=request.param)
    write_pieces(folder, tokens)
    pieces = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    with LlamaFile(write_alone(folder / "v.gguf", tokens), vocabulary_only=True) as file:
        assert file.space_prefix == (" " if request.param else "")
        yield pieces, file


@given(text=texts)
def test_llama_cpp_cuts_as_sentencepiece_does(
    pair: tuple[SentencePieceProcessor, LlamaFile], text: str
) -> None:
    pieces, file = pair
    wanted = file.tokens(file.space_prefix + text) if text else []
    assert pieces.encode(text) == wanted


def test_ids_with_a_meaning_are_kept(tmp_path: Path) -> None:
    write_pieces(tmp_path, shipped())
    pieces = SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    assert (pieces.unk_id(), pieces.bos_id(), pieces.eos_id()) == (0, 1, 2)
    assert vocabulary_of_folder(tmp_path, {"vocab_size": len(shipped().pieces)}) == shipped()


def trained(**options: Any) -> bytes:
    model = BytesIO()
    lines = ["the cat sat on the mat", "a cat and a hat", "that is that"] * 20
    wanted: dict[str, Any] = {
        "model_type": "bpe",
        "vocab_size": 300,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "hard_vocab_limit": False,
        "minloglevel": 2,
    }
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, **(wanted | options)
    )
    return model.getvalue()


def test_what_was_added_to_a_model_is_there_and_the_rest_is_padding(tmp_path: Path) -> None:
    data = trained(user_defined_symbols=["<wall>", "▄"])
    size = SentencePieceProcessor(model_proto=data).vocab_size()
    added = {str(size): {"content": "<|end|>", "special": True}}
    config = {"eos_token_id": [size, 2], "added_tokens_decoder": added, "add_bos_token": False}
    tokens = pieces_of_model(data, size + 2, config, tmp_path)
    assert tokens.pieces[size:] == ("<|end|>", f"[PAD{size + 1}]")
    assert tokens.types[size:] == (gguf.TokenType.CONTROL, gguf.TokenType.UNUSED)
    assert tokens.eos == size and not tokens.add_bos
    with LlamaFile(write_alone(tmp_path / "v.gguf", tokens), vocabulary_only=True) as file:
        assert file.size == size + 2 and file.begin is None
        for text in ("the cat<wall>sat", "a ▄▄ hat", "<|end|>"):
            own = SentencePieceProcessor(model_proto=data, add_bos=False)
            assert file.tokens(" " + text) == own.encode(text)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"not a model", "is no SentencePiece model"),
        (trained(model_type="unigram", vocab_size=290), "none of BPE"),
        (trained(normalization_rule_name="nfkc"), "changes texts"),
        (trained(), "more than the 10"),
    ],
    ids=["damaged", "unigram", "normalising", "too many"],
)
def test_what_llama_cpp_would_cut_otherwise_is_told(data: bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        pieces_of_model(data, 10 if "10" in sentence else 4000, {}, Path("tokenizer.model"))
