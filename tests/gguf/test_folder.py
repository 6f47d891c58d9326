"""GGUF to folder and back: the same tensors, and the same answers in two libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from shoritui.demo import model_path
from shoritui.errors import UserError
from shoritui.gguf.checkpoint import Checkpoint
from shoritui.gguf.folder import write_folder
from shoritui.gguf.model import Format, write_model
from shoritui.gguf.read import GgufFile
from shoritui.gguf.write import About
from tests.gguf.tiny import error, llama_logits, make_folder, model_in, transformers_logits

ABOUT = About("tiny")


def folder_of_gguf(path: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    write_folder(path, folder)
    return folder


def test_the_shipped_model_answers_the_same_in_both_libraries(tmp_path: Path) -> None:
    folder = folder_of_gguf(model_path(), tmp_path / "folder")
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"] and config["tie_word_embeddings"]
    assert config["rope_parameters"] == {"rope_theta": 100_000.0, "rope_type": "default"}
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
    assert json.loads((back / "config.json").read_text())["rope_parameters"] == rope
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


def rewritten(path: Path, **fields: Any) -> Path:
    """A GGUF of a llama with one tensor and these fields."""
    writer = gguf.GGUFWriter(path, fields.pop("architecture", "llama"))
    for key, value in fields.items():
        name = f"llama.{key}"
        writer.add_string(name, value) if isinstance(value, str) else writer.add_uint32(name, value)
    writer.add_tensor("token_embd.weight", np.zeros((4, 8), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


SIZES = {
    "embedding_length": 8,
    "block_count": 1,
    "feed_forward_length": 8,
    "attention.head_count": 2,
    "context_length": 8,
}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"architecture": "qwen2\x1b[2J"}, "no llama model but 'qwen2"),
        ({}, "embedding_length"),
        (SIZES | {"expert_count": 8}, "mixture of experts"),
        (SIZES | {"rope.dimension_count": 2}, "rope.dimension_count"),
        (SIZES | {"block_count": "many"}, "block_count"),
    ],
)
def test_what_is_no_plain_llama_is_told(
    tmp_path: Path, fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as told:
        folder_of_gguf(rewritten(tmp_path / "other.gguf", **fields), tmp_path / "folder")
    assert sentence in str(told.value) and str(told.value).isprintable()
