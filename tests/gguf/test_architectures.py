"""Every architecture of the table: what llama.cpp answers is what transformers answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from shoritui.errors import UserError
from shoritui.finetune.export.llama_cpp import LlamaFile, quantize
from shoritui.finetune.export.reference import with_llama_cpps_gelu
from shoritui.gguf.architectures import KINDS as KNOWN
from shoritui.gguf.converted import model_of_folder
from shoritui.gguf.model import Format, model_of_gguf, write_model
from shoritui.gguf.read import Floats, GgufFile
from shoritui.gguf.shape import read_config
from shoritui.gguf.write import About
from tests.gguf.kinds import KINDS, difference_of, make_kind, settings_of
from tests.gguf.tiny import error, loaded, logits_of

DOCUMENTS = [
    np.arange(3, 60, dtype=np.int32),
    np.random.default_rng(2).integers(3, 320, 90).astype(np.int32),
]
ABOUT = About("tiny")


def converted(folder: Path, path: Path, form: Format = "f32") -> list[Floats]:
    """What llama.cpp answers with a GGUF of the folder."""
    model = model_of_folder(folder, read_config(folder), needs_tokens=False)
    write_model(path, model, form, ABOUT)
    return answer(path)


def answer(path: Path) -> list[Floats]:
    with LlamaFile(path) as file:
        return file.logits(DOCUMENTS, None, threads=1)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=() if place % 8 == 0 else pytest.mark.slow)
        for place, kind in enumerate(KINDS)
    ],
)
def test_its_gguf_gives_its_logits(kind: str, tmp_path: Path) -> None:
    """To the last bits; where GELU is rounded, its rounding may fall to the other side."""
    folder = make_kind(tmp_path / "model", kind)
    found = converted(folder, tmp_path / "model.gguf")
    model = loaded(folder)
    with_llama_cpps_gelu(model)
    assert error(found, logits_of(model, DOCUMENTS)) < difference_of(folder)


def test_every_row_of_the_table_is_proved() -> None:
    alone = (kind for kind, (_, sizes) in KINDS.items() if "text_config" not in sizes)
    assert {settings_of(kind).model_type for kind in alone} == set(KNOWN)


@pytest.mark.parametrize("kind", ["gemma 2", "qwen 3, experts", "stablelm 2", "gpt-2", "cohere"])
def test_other_formats_are_near(kind: str, tmp_path: Path) -> None:
    folder = make_kind(tmp_path / "model", kind)
    exact = converted(folder, tmp_path / "f32.gguf")
    forms: tuple[Format, ...] = ("f16", "bf16", "q8_0")
    for form in forms:
        found = converted(folder, tmp_path / "other.gguf", form)
        assert error(found, exact) < 0.2
        assert (tmp_path / "other.gguf").stat().st_size < (tmp_path / "f32.gguf").stat().st_size


@pytest.mark.parametrize("kind", ["gemma 2", "qwen 3, experts", "falcon 40b"])
def test_llama_cpp_makes_k_quants_of_it(kind: str, tmp_path: Path) -> None:
    exact = converted(make_kind(tmp_path / "model", kind), tmp_path / "f16.gguf", "f16")
    quantize(tmp_path / "f16.gguf", tmp_path / "q6_k.gguf", "q6_k")
    assert error(answer(tmp_path / "q6_k.gguf"), exact) < 0.2


def test_a_gguf_is_a_model_of_the_same_numbers(tmp_path: Path) -> None:
    folder = make_kind(tmp_path / "model", "qwen 3, experts")
    first = converted(folder, tmp_path / "first.gguf")
    write_model(tmp_path / "again.gguf", model_of_gguf(tmp_path / "first.gguf"), "f32", ABOUT)
    assert error(answer(tmp_path / "again.gguf"), first) == 0
    before, after = (GgufFile(tmp_path / f"{name}.gguf") for name in ("first", "again"))
    assert before.metadata == after.metadata


def changed(folder: Path, **changes: Any) -> dict[str, Any]:
    config = read_config(folder) | changes
    (folder / "config.json").write_text(json.dumps(config))
    return config


@pytest.mark.parametrize(
    ("kind", "changes", "sentence"),
    [
        ("qwen 2", {"model_type": "mamba\x1b[2J"}, "a model of the kind 'mamba"),
        ("qwen 2", {"hidden_act": "gelu"}, "its activation is gelu, llama.cpp's silu"),
        ("qwen 2", {"quantization_config": {"bits": 4}}, "quantised"),
        ("qwen 2", {"hidden_size": "wide"}, "a size is missing or wrong"),
        ("qwen 2", {"num_hidden_layers": 3}, "the weights have no model.layers.2."),
        ("qwen 2", {"num_hidden_layers": 1}, "the weights have model.layers.1."),
        ("qwen 2", {"rope_parameters": {"rope_type": "dynamic", "factor": 2}}, "'dynamic'"),
        ("gemma 2", {"layer_types": ["full_attention", "sliding_attention"]}, "an order that"),
        ("gemma 2", {"query_pre_attn_scalar": 17}, "query_pre_attn_scalar"),
        ("qwen 3, experts", {"norm_topk_prob": False}, "norm_topk_prob is False"),
        ("falcon 7b", {"alibi": True}, "alibi is True"),
        ("cohere", {"use_qk_norm": True}, "use_qk_norm is True"),
        ("smollm 3", {"no_rope_layers": [1, 0, 1, 0, 1]}, "no_rope_layers"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(
    kind: str, changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    folder = make_kind(tmp_path / "model", kind)
    with pytest.raises(UserError) as told:
        model_of_folder(folder, changed(folder, **changes), needs_tokens=False)
    assert sentence in str(told.value) and str(told.value).isprintable()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("model.layers.1.self_attn.q_norm.weight", "the weights have no"),
        ("model.layers.1.mlp.experts.3.up_proj.weight", "the weights have no"),
        ("model.embed_tokens.weight", "no embeddings"),
    ],
)
def test_a_tensor_that_is_missing_is_named(name: str, sentence: str, tmp_path: Path) -> None:
    folder = make_kind(tmp_path / "model", "qwen 3, experts")
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors[name]
    save_file(tensors, path)
    with pytest.raises(UserError, match=sentence):
        model_of_folder(folder, read_config(folder), needs_tokens=False)


STRANGE: tuple[Any, ...] = (
    None,
    -1,
    0,
    2**30,
    10**12,
    1e300,
    "x\x1b[2J",
    [],
    [[]],
    {},
    {"a": {}},
    True,
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["llama 3", "gemma 3", "qwen 3.5"])
def test_a_config_of_anything_is_converted_or_told(kind: str, tmp_path: Path) -> None:
    folder = make_kind(tmp_path / "model", kind)
    config = read_config(folder)
    for key in config:
        for value in STRANGE:
            try:
                model_of_folder(folder, config | {key: value}, needs_tokens=False)
            except UserError as told:
                assert str(told).isprintable(), key
    for key, value in config.get("rope_parameters", {}).items():
        for strange in STRANGE:
            rope = config["rope_parameters"] | {key: strange}
            try:
                model_of_folder(folder, config | {"rope_parameters": rope}, needs_tokens=False)
            except UserError as told:
                assert str(told).isprintable(), (key, value)
