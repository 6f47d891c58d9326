"""Tokenised apart equals tokenised together, and what was generated keeps its ids."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.engine.cache.token_cache import TokenCache, TokenStore
from shoritui.engine.llama.model import Model
from tests import smollm2

PREFIX_KEY = b"tokenizer.ggml.add_space_prefix"


@pytest.fixture(scope="module", params=["false", "true"])
def vocabulary(
    request: pytest.FixtureRequest, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Model:
    """The vocabulary that ships, with and without a space before the first character."""
    data = model.read_bytes()
    where = data.find(PREFIX_KEY)
    if where < 0:
        pytest.fail("the model that ships says whether its vocabulary adds a space prefix")
    value = where + len(PREFIX_KEY) + 4
    flag = b"\1" if request.param == "true" else b"\0"
    path = tmp_path_factory.mktemp("vocabulary") / "model.gguf"
    path.write_bytes(data[:value] + flag + data[value + 1 :])
    return Model(path, vocab_only=True)


@pytest.fixture(scope="module")
def smollm() -> Model:
    """A vocabulary of merges, in which each mark of a block is two tokens, and nothing begins."""
    found = Model(smollm2.installed(), vocab_only=True)
    assert found.bos is None and not found.block_tokens
    return found


words = st.sampled_from(
    ["said", "the", "_Oh_", '"Yes', "''no''", "😀", "日本", "é", "</s>", "[INST]"]
)
bodies = st.one_of(
    st.text(st.characters(exclude_characters="▀▄", exclude_categories=["Cs"]), max_size=30),
    st.lists(words, max_size=12).map(" ".join),
)
roles = st.sampled_from(["title", "message (length: medium)", "description", "ooc"])
blocks = st.builds(lambda role, body: f"▀{role}\n{body}▄\n", roles, bodies)
notes = bodies.map(lambda body: f"[INST] {body} [/INST]\n")
documents = st.lists(blocks | notes, min_size=1, max_size=6)


def tokens_of(vocabulary: Model) -> TokenCache:
    return TokenCache(vocabulary, TokenStore(None, b""))


def joined(blocks: list[tuple[int, ...]]) -> list[int]:
    return [token for block in blocks for token in block]


def whole(vocabulary: Model, text: str) -> list[int]:
    begin = [] if vocabulary.bos is None else [vocabulary.bos]
    return begin + vocabulary.tokenize((" " if vocabulary.space_prefix else "") + text)


@given(document=documents)
def test_blocks_tokenised_apart_are_the_prompt_tokenised_whole(
    vocabulary: Model, document: list[str]
) -> None:
    assert joined(tokens_of(vocabulary).document(document)) == whole(vocabulary, "".join(document))


@given(document=documents, data=st.data())
def test_any_allowed_cut_is_exact(
    vocabulary: Model, document: list[str], data: st.DataObject
) -> None:
    text = "".join(document)
    allowed = [
        index
        for index, (left, right) in enumerate(pairwise(text), 1)
        if {left, right} & set("▀▄\n") or (right == " " != left)
    ]
    cuts = sorted(data.draw(st.sets(st.sampled_from(allowed), max_size=5)))
    pieces = [text[begin:end] for begin, end in pairwise([0, *cuts, len(text)])]
    assert joined(tokens_of(vocabulary).document(pieces)) == whole(vocabulary, text)


@given(document=documents)
def test_blocks_of_two_token_marks_are_exact_too(smollm: Model, document: list[str]) -> None:
    assert joined(tokens_of(smollm).document(document)) == whole(smollm, "".join(document))


@given(body=bodies.map(str.strip).filter(bool))
def test_a_message_is_exact_around_what_is_written(smollm: Model, body: str) -> None:
    """Its header was there before, and its end is two tokens more."""
    pieces = ["▀message (length: tiny)\nAda:", f" {body}", "▄\n"]
    assert joined(tokens_of(smollm).document(pieces)) == whole(smollm, "".join(pieces))
    opening, closing = smollm.tokenize("▀"), smollm.tokenize("▄")
    assert len(opening) == len(closing) == 2 and opening[0] == closing[0]


def test_block_marks_are_single_tokens_of_the_vocabulary(vocabulary: Model) -> None:
    assert vocabulary.block_tokens
    assert vocabulary.tokenize("▀▀a▄b▄\n") == [
        vocabulary.open,
        vocabulary.open,
        *vocabulary.tokenize("a"),
        vocabulary.close,
        *vocabulary.tokenize("b"),
        vocabulary.close,
        vocabulary.newline,
    ]


def test_text_is_never_read_as_a_special_token(vocabulary: Model) -> None:
    ids = vocabulary.tokenize("a</s><s><unk>b")
    assert not set(ids) & {*vocabulary.ends, vocabulary.bos}


def test_a_vocabulary_without_the_closing_mark_says_so(model: Path, tmp_path: Path) -> None:
    close = b"\3\0\0\0\0\0\0\0" + "▄".encode()
    data = model.read_bytes()
    assert data.count(close) == 1
    path = tmp_path / "model.gguf"
    path.write_bytes(data.replace(close, close[:-3] + "▃".encode()))
    vocabulary = Model(path, vocab_only=True)
    assert vocabulary.close is None
    assert not vocabulary.block_tokens


def test_generated_ids_stay_as_they_were_generated(vocabulary: Model) -> None:
    tokens = tokens_of(vocabulary)
    block = "▀message\nAda: hello▄\n"
    letters = [token for letter in block for token in vocabulary.tokenize(letter)]
    tokens.keep(block, letters)
    assert tokens.document(["▀title\nT▄\n", block])[1] == tuple(letters)


def test_generated_ids_stay_over_restarts(vocabulary: Model, tmp_path: Path) -> None:
    block = "▀message\nAda: hello▄\n"
    letters = tuple(token for letter in block for token in vocabulary.tokenize(letter))
    path = tmp_path / "token_store.db"
    TokenCache(vocabulary, TokenStore(path, b"a")).keep(block, letters)
    assert TokenCache(vocabulary, TokenStore(path, b"a")).ids(block) == letters
    assert TokenCache(vocabulary, TokenStore(path, b"another vocabulary")).ids(block) != letters


@given(words=st.lists(words | st.just(""), max_size=12))
def test_a_text_that_grows_word_by_word_is_tokenised_as_if_at_once(
    vocabulary: Model, words: list[str]
) -> None:
    tokens = tokens_of(vocabulary)
    text = "▀message (length: short)\nAda:"
    for word in words:
        text += f" {word}"
        assert list(tokens.ids(text)) == vocabulary.tokenize(text)
