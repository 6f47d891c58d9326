"""Vocabularies to tokenise with: the shipped model's, with and without a space prefix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shoritui.finetune.data.tokenizer import Tokenizer, open_tokenizer
from tests.gguf.vocabularies import shipped, write_pieces


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return shipped_tokenizer(tmp_path_factory.mktemp("tokenizer"), space_prefix=False)


@pytest.fixture(scope="session")
def prefixed(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return shipped_tokenizer(tmp_path_factory.mktemp("tokenizer"), space_prefix=True)


def shipped_tokenizer(folder: Path, *, space_prefix: bool) -> Tokenizer:
    write_pieces(folder, replace(shipped(), add_space_prefix=space_prefix))
    return open_tokenizer(folder)
