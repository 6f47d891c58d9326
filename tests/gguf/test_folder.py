"""GGUF to folder and back: the same tensors, and the same answers in two libraries."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from shoritui.demo import model_path
from shoritui.errors import UserError
from shoritui.finetune.blank_model import blank_model
from shoritui.finetune.export.llama_cpp import BITS, LlamaFile, quantize
from shoritui.finetune.export.reference import with_llama_cpps_gelu
from shoritui.gguf.checkpoint import Checkpoint
from shoritui.gguf.converted import model_of_folder
from shoritui.gguf.folder import write_folder
from shoritui.gguf.model import Format, write_model
from shoritui.gguf.read import GgufFile
from shoritui.gguf.shape import read_config
from shoritui.gguf.vocabulary import gguf_vocabulary
from shoritui.gguf.write import KIND_IDS, About, Tensor, Value, tensor_of, write_gguf
from tests.gguf.kinds import KINDS, make_kind
from tests.gguf.tiny import (
    error,
    llama_logits,
    loaded,
    logits_of,
    make_folder,
    model_in,
    transformers_logits,
)
from tests.gguf.vocabularies import shipped

ABOUT = About("tiny")


def folder_of_gguf(path: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    write_folder(path, folder, blank_model)
    return folder


def test_the_shipped_model_answers_the_same_in_both_libraries(tmp_path: Path) -> None:
    folder = folder_of_gguf(model_path(), tmp_path / "folder")
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"] and config["tie_word_embeddings"]
    assert config["rope_parameters"]["rope_theta"] == 100_000.0
    write_model(tmp_path / "f32.gguf", model_in(folder), "f32", ABOUT)
    assert error(llama_logits(tmp_path / "f32.gguf"), transformers_logits(folder)) < 1e-5


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "default", "rope_theta": 1e6},
        {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0},
        {
            "rope_type": "llama3",
            "rope_theta": 5e5,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    ],
    ids=["default", "linear", "llama3"],
)
def test_a_folder_of_transformers_answers_the_same_there_and_back(
    tmp_path: Path, rope: dict[str, Any]
) -> None:
    source = make_folder(tmp_path / "source", rope_parameters=rope)
    wanted = transformers_logits(source)
    write_model(tmp_path / "there.gguf", model_in(source), "f32", ABOUT)
    assert error(llama_logits(tmp_path / "there.gguf"), wanted) < 1e-5
    back = folder_of_gguf(tmp_path / "there.gguf", tmp_path / "back")
    assert rope.items() <= json.loads((back / "config.json").read_text())["rope_parameters"].items()
    assert error(transformers_logits(back), wanted) == 0


@pytest.mark.parametrize("form", ["f32", "f16", "bf16", "q8_0"])
def test_tensors_come_back_as_they_are_stored(tmp_path: Path, tiny: Path, form: Format) -> None:
    before, path = load_file(tiny / "model.safetensors"), tmp_path / "model.gguf"
    write_model(path, model_in(tiny), form, ABOUT)
    folder = folder_of_gguf(path, tmp_path / "folder")
    again = model_in(folder)
    checkpoint = Checkpoint(folder)
    assert checkpoint.shapes.keys() == before.keys()
    for name, tensor in before.items():
        kind = gguf.GGMLQuantizationType[form.upper() if tensor.ndim == 2 else "F32"]
        stored = gguf.quants.dequantize(gguf.quants.quantize(tensor, kind), kind)
        assert (checkpoint.floats(name) == stored).all(), name
    dtype = json.loads((folder / "config.json").read_text())["dtype"]
    assert dtype == {"f16": "float16", "bf16": "bfloat16"}.get(form, "float32")
    write_model(tmp_path / "again.gguf", again, form, ABOUT)
    ours, first = GgufFile(tmp_path / "again.gguf"), GgufFile(path)
    assert ours.tensors.keys() == first.tensors.keys()
    for name in ours.tensors:
        pairs = zip(ours.raw_rows(name), first.raw_rows(name), strict=True)
        assert all((some == others).all() for some, others in pairs), name


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> bytes:
    path = tmp_path_factory.mktemp("small") / "small.gguf"
    write_model(path, model_in(tiny), "q8_0", ABOUT)
    return path.read_bytes()


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_damaged_file_is_read_or_told(
    tmp_path: Path, small_file: bytes, data: st.DataObject
) -> None:
    head = 2000
    at = data.draw(st.integers(0, head))
    damaged = data.draw(
        st.one_of(
            st.just(small_file[:at]),
            st.binary(min_size=1, max_size=8).map(
                lambda some: small_file[:at] + some + small_file[at + len(some) :]
            ),
        )
    )
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damaged)
    try:
        folder_of_gguf(path, tmp_path / "folder")
    except UserError as error:
        assert str(error).isprintable()


SHORT = [np.arange(3, 60, dtype=np.int32)]


def gguf_of(folder: Path, path: Path, form: Format = "f32") -> Path:
    """A GGUF of a folder without a tokenizer, with a vocabulary all the same."""
    model = model_of_folder(folder, read_config(folder), needs_tokens=False)
    tokens = gguf_vocabulary(shipped())
    write_model(path, replace(model, metadata={**model.metadata, **tokens}), form, ABOUT)
    return path


SEEING = ("mistral small 3.1", "gemma 3, with eyes")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (*SEEING, "qwen 3.5")])
def test_of_every_architecture_the_same_folder_comes_back(kind: str, tmp_path: Path) -> None:
    source = make_kind(tmp_path / "source", kind)
    back = folder_of_gguf(gguf_of(source, tmp_path / "there.gguf"), tmp_path / "back")
    before, after = (load_file(each / "model.safetensors") for each in (source, back))
    assert before.keys() == after.keys()
    assert all(np.allclose(after[name], before[name], atol=2e-7, rtol=0) for name in before)
    assert error(logits_of(loaded(back), SHORT), logits_of(loaded(source), SHORT)) < 1e-6


@pytest.mark.parametrize("kind", SEEING)
def test_what_reads_comes_back_of_a_model_that_sees(kind: str, tmp_path: Path) -> None:
    source = make_kind(tmp_path / "source", kind)
    back = folder_of_gguf(gguf_of(source, tmp_path / "there.gguf"), tmp_path / "back")
    assert error(logits_of(loaded(back), SHORT), logits_of(loaded(source), SHORT)) < 1e-6


QUANTS = ("q2_k", "q3_k_m", "q4_k_m", "q5_k_m", "q6_k", "iq4_xs", "iq3_s", "tq2_0", "q5_1")
WIDE = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 1, "vocab_size": 4000}


@cache
def wide(name: str, folder: Path) -> Path:
    """A file in F16 whose rows are whole blocks of any quantisation."""
    experts = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 256}
    transformers: Any = importlib.import_module("transformers")
    settings = getattr(transformers, f"{name}Config")
    sizes = WIDE | {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64}
    sizes |= {"pad_token_id": 0, "query_pre_attn_scalar": 64, "norm_topk_prob": True, **experts}
    torch.manual_seed(3)
    model = getattr(transformers, f"{name}ForCausalLM")(settings(**sizes))
    model.save_pretrained(folder / name)
    return gguf_of(folder / name, folder / f"{name}.gguf", "f16")


@pytest.fixture(scope="module")
def wides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wide")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "quant"),
    [*(("Qwen3Moe", quant) for quant in QUANTS), ("Qwen2", "q4_k_m"), ("Gemma2", "iq4_xs")],
)
def test_any_quantisation_is_unpacked_as_it_is(
    name: str, quant: Any, wides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "quantised.gguf"
    monkeypatch.setitem(BITS, quant, 5.0)
    quantize(wide(name, wides), path, quant)
    folder = folder_of_gguf(path, tmp_path / "folder")
    file = GgufFile(path)
    model = model_of_folder(folder, read_config(folder))
    stored = {file.stored_as(name) for name in file.tensors}
    assert stored - {"F32", "F16"}
    for each in file.tensors:
        assert np.allclose(model.floats(each), whole(file, each), atol=2e-7, rtol=0), each
    write_model(tmp_path / "again.gguf", model, "f32", ABOUT)
    with LlamaFile(tmp_path / "again.gguf") as again:
        found = again.logits(SHORT, None, threads=1)
    reference = loaded(folder)
    is_rounded = with_llama_cpps_gelu(reference)
    assert error(logits_of(reference, SHORT), found) < (2e-4 if is_rounded else 1e-5)


def test_a_model_in_several_files_is_one(tmp_path: Path, tiny: Path) -> None:
    whole = tmp_path / "whole.gguf"
    write_model(whole, model_in(tiny), "q8_0", ABOUT)
    file = GgufFile(whole)
    names = list(file.tensors)
    parts = [tmp_path / f"model-{part:05}-of-00003.gguf" for part in (1, 2, 3)]
    for number, path in enumerate(parts):
        said = {"split.no": number, "split.count": 3, "split.tensors.count": len(names)}
        kinds = {number: kind for kind, number in KIND_IDS.items()}
        tensors = [
            Tensor(n, file.shape(n), kinds[file.tensors[n].kind], partial(file.raw_rows, n))
            for n in names[number::3]
        ]
        write_gguf(path, {**(file.verbatim("") if not number else {}), **said}, tensors)
    folders = [folder_of_gguf(each, tmp_path / each.stem) for each in (whole, parts[0])]
    first, second = (load_file(folder / "model.safetensors") for folder in folders)
    assert all((first[name] == second[name]).all() for name in first)
    assert (folders[0] / "vocabulary.gguf").read_bytes() == (
        folders[1] / "vocabulary.gguf"
    ).read_bytes()
    with pytest.raises(UserError, match="is a part of a model in 3 files: name the first"):
        GgufFile(parts[1])
    parts[2].unlink()
    with pytest.raises(UserError, match=r"00003-of-00003.gguf is missing"):
        GgufFile(parts[0])


def changed(path: Path, **said: Any) -> Path:
    """A file that says something else, or something more."""
    file = GgufFile(path)
    kinds = {number: kind for kind, number in KIND_IDS.items()}
    tensors = [
        Tensor(n, file.shape(n), kinds[file.tensors[n].kind], partial(file.raw_rows, n))
        for n in file.tensors
        if n != said.get("without")
    ]
    metadata: dict[str, Value] = {**file.verbatim("")}
    metadata |= {key.replace("__", "."): value for key, value in said.items() if "__" in key}
    other = path.with_name("changed.gguf")
    write_gguf(other, metadata, tensors)
    return other


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            {"general__architecture": "mamba\x1b[2J"},
            "which cannot be unpacked here, only models of",
        ),
        ({"general__type": "adapter"}, "is 'adapter' of the architecture 'qwen2'"),
        ({"qwen2__attention.scale": 0.25}, "what it says of attention.scale (0.25) is not known"),
        ({"qwen2__attention.head_count": 3}, "take the model's own folder instead"),
        ({"qwen2__embedding_length": 8}, "take the model's own folder instead"),
        ({"qwen2__embedding_length": "wide"}, "lacks a usable qwen2.embedding_length"),
        ({"qwen2__block_count": 10**6}, "no tensors for all its layers"),
        ({"qwen2__expert_count": 10**6}, "more experts than any model has"),
        ({"qwen2__rope.scaling.type": "newer"}, "make no model ('newer')"),
        ({"without": "blk.1.attn_k.bias"}, "is not complete: blk.1.attn_k.bias is missing"),
        ({"without": "token_embd.weight"}, "holds no token_embd.weight"),
    ],
)
def test_what_is_not_understood_is_told(
    qwen: Path, tmp_path: Path, said: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as told:
        folder_of_gguf(changed(qwen, **said), tmp_path / "folder")
    assert sentence in str(told.value) and str(told.value).isprintable()


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen")
    return gguf_of(make_kind(folder / "model", "qwen 2"), folder / "model.gguf")


def test_what_changes_nothing_may_be_said(qwen: Path, tmp_path: Path) -> None:
    said = {
        "qwen2__rope.scaling.type": "none",
        "qwen2__rope.scaling.original_context_length": 99,
        "qwen2__attention.sliding_window": 16,
        "qwen2__expert_count": 0,
        "qwen2__odd": (1.5, 2.5),
        "qwen2__attention.head_count_kv": (2, 2),
    }
    assert (folder_of_gguf(changed(qwen, **said), tmp_path / "x") / "config.json").is_file()


def test_a_tensor_too_many_is_told(qwen: Path, tmp_path: Path) -> None:
    file, other = GgufFile(qwen), tmp_path / "other.gguf"
    nothing: Any = partial(np.zeros, 8, np.float32)
    tensors = [tensor_of(n, file.shape(n), "F32", partial(whole, file, n)) for n in file.tensors]
    extra = tensor_of("blk.0.attn_\x1bnew.weight", (8,), "F32", nothing)
    write_gguf(other, file.verbatim(""), [*tensors, extra])
    with pytest.raises(UserError, match="which a model of the kind qwen2 has not") as told:
        folder_of_gguf(other, tmp_path / "folder")
    assert str(told.value).isprintable()


def whole(file: GgufFile, name: str) -> Any:
    return np.concatenate(list(file.rows(name))).reshape(file.shape(name))


@pytest.mark.parametrize("is_stretched", [True, False])
def test_mistral_3_as_llama_cpps_own_script_states_it(tmp_path: Path, is_stretched: bool) -> None:
    """With a factor for positions and yarn's weight, or neither, as Mistral Small 3.2 has it."""
    kind = "ministral 3" if is_stretched else "mistral nemo"
    source = make_kind(tmp_path / "source", kind)
    path = gguf_of(source, tmp_path / "there.gguf")
    if is_stretched:
        path = changed(path, mistral3__rope__scaling__yarn_log_multiplier=1.0)
    else:
        said = {
            key.replace("llama.", "mistral3__").replace(".", "__"): value
            for key, value in GgufFile(path).metadata.items()
            if key.startswith("llama.")
        }
        path = changed(path, general__architecture="mistral3", **said)
    back = folder_of_gguf(path, tmp_path / "back")
    assert error(logits_of(loaded(back), SHORT), logits_of(loaded(source), SHORT)) < 1e-6


def test_an_architecture_that_is_not_read_back_is_told(tmp_path: Path) -> None:
    source = make_kind(tmp_path / "source", "qwen 3.5")
    model = model_of_folder(source, read_config(source), needs_tokens=False)
    write_model(tmp_path / "there.gguf", model, "f32", ABOUT)
    with pytest.raises(UserError, match=r"'qwen35', which cannot be unpacked here.*own folder"):
        folder_of_gguf(tmp_path / "there.gguf", tmp_path / "back")
