"""Vocabularies to tokenise with: the shipped model's, with and without a space prefix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shoritui.demo import model_path
from shoritui.finetune.data.tokenizer import Tokenizer, open_tokenizer
from shoritui.gguf.read import GgufFile
from shoritui.gguf.sentencepiece import SentencePieceVocabulary
from shoritui.gguf.vocabulary import vocabulary_of_gguf, write_vocabulary


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return shipped_tokenizer(tmp_path_factory.mktemp("tokenizer"), space_prefix=False)


@pytest.fixture(scope="session")
def prefixed(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return shipped_tokenizer(tmp_path_factory.mktemp("tokenizer"), space_prefix=True)


def shipped_tokenizer(folder: Path, *, space_prefix: bool) -> Tokenizer:
    tokens = vocabulary_of_gguf(GgufFile(model_path()))
    assert isinstance(tokens, SentencePieceVocabulary)
    write_vocabulary(folder, replace(tokens, add_space_prefix=space_prefix), model_path())
    return open_tokenizer(folder)
