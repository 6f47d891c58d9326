"""Token ids of training data: the same that the engine sends, whatever is in the text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import render
from shoritui.demo import model_path
from shoritui.engine.cache.token_cache import TokenCache, TokenStore
from shoritui.engine.llama.model import Model
from shoritui.errors import UserError
from shoritui.finetune.data.tokenizer import Tokenizer, open_tokenizer
from shoritui.gguf.read import GgufFile
from shoritui.gguf.vocabulary import gguf_vocabulary
from shoritui.gguf.vocabulary.kept import keep
from shoritui.gguf.write import write_gguf
from tests import smollm2
from tests.finetune.data.strategies import bodies, parts
from tests.gguf.tiny import write_alone
from tests.gguf.vocabularies import shipped

_FLAG = b"tokenizer.ggml.add_space_prefix\x07\0\0\0"


@pytest.fixture(
    scope="module",
    params=["pieces", "pieces with a prefix", "kept", "kept with a prefix", "smollm2"],
)
def pair(
    request: pytest.FixtureRequest,
    tokenizer: Tokenizer,
    prefixed: Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Tokenizer, Model]:
    """The same vocabulary in training and in the engine."""
    kind, is_prefixed = request.param.partition(" ")[::2]
    folder = tmp_path_factory.mktemp("model")
    path = smollm2.installed() if kind == "smollm2" else model_path()
    if is_prefixed:
        before, flag, after = path.read_bytes().partition(_FLAG)
        assert flag and after[0] == 0
        path = folder / "model.gguf"
        path.write_bytes(before + flag + b"\1" + after[1:])
    if kind == "pieces":
        return prefixed if is_prefixed else tokenizer, Model(path, vocab_only=True)
    keep(GgufFile(path), folder)
    return open_tokenizer(folder), Model(path, vocab_only=True)


@given(st.data())
def test_ids_are_those_that_the_engine_sends(
    pair: tuple[Tokenizer, Model], data: st.DataObject
) -> None:
    tokenizer, model = pair
    texts = [render(part) for part in data.draw(parts)]
    sent = TokenCache(model, TokenStore(None, b"")).document(texts)
    ours = [*tokenizer.many(texts[:1], first=True), *tokenizer.many(texts[1:])]
    assert ours == [list(ids) for ids in sent]
    if model.bos is None:  # a vocabulary without walls
        return
    whole = (" " if model.space_prefix else "") + "".join(texts)
    assert [token for ids in ours for token in ids] == [model.bos, *model.tokenize(whole)]


@given(bodies)
def test_ids_of_any_text_are_the_engines_and_give_it_back(
    pair: tuple[Tokenizer, Model], text: str
) -> None:
    tokenizer, model = pair
    ids = tokenizer.ids(text)
    assert ids == model.tokenize(text)
    assert tokenizer.text(ids) == b"".join(model.pieces[i] for i in ids).decode(errors="replace")
    if model.bos is not None:  # SmolLM2 lacks the bytes of some planes
        assert tokenizer.text(ids) == text.replace("▁", " ")


def test_what_is_told_of_a_vocabulary(tokenizer: Tokenizer, prefixed: Tokenizer) -> None:
    model = Model(model_path(), vocab_only=True)
    assert (tokenizer.vocabulary, tokenizer.bos) == (model.n_vocab, model.bos)
    assert tokenizer.eos in model.ends and tokenizer.close == model.close
    assert tokenizer.warning == ""
    assert tokenizer.fingerprint != prefixed.fingerprint


def described(**more: Any) -> dict[str, Any]:
    """A tokenizer.json of bytes that merge to nothing but `he`."""
    from tokenizers import Tokenizer as Library
    from tokenizers import models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: at for at, letter in enumerate([*letters, "he", "<s>", "</s>"])}
    library = Library(models.BPE(vocab=vocabulary, merges=[("h", "e")]))
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.add_special_tokens(["<s>", "</s>"])
    found: dict[str, Any] = json.loads(library.to_str())
    return found | {"decoder": found["pre_tokenizer"]} | more


def opened(folder: Path, description: dict[str, Any], **settings: Any) -> Tokenizer:
    (folder / "tokenizer.json").write_text(json.dumps(description), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return open_tokenizer(folder)


TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [
        {"SpecialToken": {"id": "<s>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "</s>", "type_id": 0}},
    ],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
    "special_tokens": {
        name: {"id": name, "ids": [at], "tokens": [name]}
        for at, name in ((257, "<s>"), (258, "</s>"))
    },
}


def test_a_vocabulary_of_merges(tmp_path: Path) -> None:
    tokenizer = opened(tmp_path, described(), eos_token="</s>")
    assert (tokenizer.vocabulary, tokenizer.bos, tokenizer.eos) == (259, None, 258)
    text = "the </s> é▄"
    ids = tokenizer.ids(text)
    assert tokenizer.text(ids) == text and 256 in ids and 258 not in ids
    assert tokenizer.ids(text, first=True) == ids
    assert tokenizer.close is None and "no single tokens" in tokenizer.warning


def test_what_begins_a_text_of_merges(tmp_path: Path) -> None:
    by_template = opened(tmp_path, described(post_processor=TEMPLATE))
    by_setting = opened(tmp_path, described(), add_bos_token=True, bos_token={"content": "<s>"})
    for tokenizer in (by_template, by_setting):
        plain = tokenizer.ids("he")
        assert (plain, tokenizer.ids("he", first=True)) == ([256], [257, 256])
    assert opened(tmp_path, described(), bos_token="<s>").bos is None


@pytest.mark.parametrize(
    "part",
    [
        {"pre_tokenizer": {**described()["pre_tokenizer"], "add_prefix_space": True}},
        {"normalizer": {"type": "Prepend", "prepend": "\u2581"}},
        {
            "pre_tokenizer": {
                "type": "Metaspace",
                "replacement": "\u2581",
                "prepend_scheme": "first",
            }
        },
    ],
)
def test_only_a_document_begins_with_a_space(tmp_path: Path, part: dict[str, Any]) -> None:
    tokenizer = opened(tmp_path, described(**part))
    assert tokenizer.ids("he") == [256]
    assert tokenizer.ids("he", first=True) == tokenizer.ids(" he")
    assert tokenizer.fingerprint != opened(tmp_path, described()).fingerprint


def test_a_folder_that_has_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no tokenizer"):
        open_tokenizer(tmp_path)
    for name in ("tokenizer.json", "tokenizer.model"):
        (tmp_path / name).write_bytes(b"\xff{}")
        with pytest.raises(UserError, match="cannot be read"):
            open_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (b"smollm", b"smo\x1bop", r"unknown pre-tokenizer type: 'smo.*op'"),
        (b"tokenizer.ggml.tokens", b"tokenizer.ggml.tokenz", "cannot find tokenizer vocab"),
        (b"tokenizer.ggml.merges", b"tokenizer.ggml.mergez", "cannot find tokenizer merges"),
    ],
)
def test_a_vocabulary_that_llama_cpp_does_not_know_is_told(
    tmp_path: Path, before: bytes, after: bytes, sentence: str
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(smollm2.installed().read_bytes().replace(before, after))
    with pytest.raises(UserError, match=sentence) as told:
        keep(GgufFile(path), tmp_path)
    assert str(path) in str(told.value) and str(told.value).isprintable()


def test_a_vocabulary_with_a_token_twice_is_told(tmp_path: Path) -> None:
    tokens = shipped()
    write_alone(tmp_path / "v.gguf", replace(tokens, pieces=(*tokens.pieces[:-1], "<s>")))
    with pytest.raises(UserError, match="its vocabulary is damaged"):
        keep(GgufFile(tmp_path / "v.gguf"), tmp_path)


def test_a_vocabulary_that_lacks_bytes_ends_no_process(tmp_path: Path) -> None:
    tokens = shipped()
    pieces = tuple(piece.replace("<0x", "<0y") for piece in tokens.pieces)
    write_alone(tmp_path / "v.gguf", replace(tokens, pieces=pieces))
    with pytest.raises(UserError, match="its vocabulary is damaged"):
        keep(GgufFile(tmp_path / "v.gguf"), tmp_path)


def test_a_file_without_a_vocabulary_is_told(tmp_path: Path) -> None:
    metadata = {"general.architecture": "llama"} | gguf_vocabulary(None)
    write_gguf(tmp_path / "v.gguf", metadata, [])
    with pytest.raises(UserError, match="has no vocabulary"):
        keep(GgufFile(tmp_path / "v.gguf"), tmp_path)
