"""Vocabularies to tokenise with: the shipped model's, with and without a space prefix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shoritui.demo import model_path
from shoritui.finetune.data.tokenizer import Tokenizer, open_tokenizer
from shoritui.finetune.gguf.reading import GgufFile
from shoritui.finetune.gguf.tokens import tokens_of_gguf, write_tokens
from shoritui.finetune.gguf.vocabulary import Vocabulary


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return shipped_tokenizer(tmp_path_factory.mktemp("tokenizer"), space_prefix=False)


@pytest.fixture(scope="session")
def prefixed(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return shipped_tokenizer(tmp_path_factory.mktemp("tokenizer"), space_prefix=True)


def shipped_tokenizer(folder: Path, *, space_prefix: bool) -> Tokenizer:
    tokens = tokens_of_gguf(GgufFile(model_path()))
    assert isinstance(tokens, Vocabulary)
    write_tokens(folder, replace(tokens, add_space_prefix=space_prefix), model_path())
    return open_tokenizer(folder)
