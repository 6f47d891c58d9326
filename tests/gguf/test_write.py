"""What is written is read again, here and by the gguf package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest

from shoritui.demo import model_path
from shoritui.errors import UserError
from shoritui.gguf.header import BLOCKS, read_header
from shoritui.gguf.read import GgufFile
from shoritui.gguf.shape import Shape, gguf_names
from shoritui.gguf.write import KIND_IDS, Kind, Tensor, Value, tensor_of, write_gguf

METADATA: dict[str, Value] = {
    "general.architecture": "llama",
    "a.number": 7,
    "a.large.number": 2**40,
    "a.share": 0.5,
    "a.flag": True,
    "texts": ("▀", "", "b"),
    "scores": (0.0, -1.5),
    "kinds": (1, -2, 3),
}


def sevens(size: int) -> Iterator[np.ndarray[tuple[int], np.dtype[np.uint8]]]:
    yield np.full(size, 7, np.uint8)


TENSORS = [
    Tensor("ones", (64,), "F32", lambda: sevens(256)),
    Tensor("q4", (3, 32), "Q4_0", lambda: sevens(54)),
    Tensor("q8", (2, 64), "Q8_0", lambda: sevens(136)),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.gguf"
    write_gguf(path, METADATA, TENSORS)
    return path


def test_what_is_written_is_read_again(file: Path) -> None:
    header = read_header(file, whole=True)
    assert header.metadata | header.lists == {**METADATA, "general.quantization_version": 2}
    assert {name: place.shape for name, place in header.tensors.items()} == {
        tensor.name: tensor.shape for tensor in TENSORS
    }
    opened = GgufFile(file)
    assert all((piece == 7).all() for name in opened.tensors for piece in opened.raw_rows(name))
    assert [opened.stored_as(name) for name in opened.tensors] == ["F32", "Q4_0", "Q8_0"]


def test_a_header_that_is_not_whole_keeps_only_short_lists_of_whole_numbers(file: Path) -> None:
    header = read_header(file)
    assert header.lists == {"scores": (), "kinds": (1, -2, 3)}
    assert not header.tensors and header.n_tensors == 3


def test_others_read_it_alike(file: Path) -> None:
    reader = gguf.GGUFReader(file)
    assert [tensor.name for tensor in reader.tensors] == ["ones", "q4", "q8"]
    assert [tuple(tensor.shape) for tensor in reader.tensors] == [(64,), (32, 3), (64, 2)]
    assert [tensor.n_bytes for tensor in reader.tensors] == [each.size_bytes for each in TENSORS]
    assert all((tensor.data.view("uint8") == 7).all() for tensor in reader.tensors)
    for key, value in METADATA.items():
        field = reader.get_field(key)
        assert field is not None
        assert field.contents() == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize("kind", KIND_IDS)
def test_values_are_quantised_as_ggml_does(tmp_path: Path, kind: Kind) -> None:
    values = np.random.default_rng(1).normal(size=(5, 96)).astype(np.float32)
    write_gguf(tmp_path / "q.gguf", {}, [tensor_of("w", (5, 96), kind, lambda: values)])
    stored = gguf.quants.quantize(values, gguf.GGMLQuantizationType[kind])
    wanted = gguf.quants.dequantize(stored, gguf.GGMLQuantizationType[kind])
    assert (np.concatenate(list(GgufFile(tmp_path / "q.gguf").rows("w"))) == wanted).all()


def test_the_numbers_of_types_and_their_blocks_are_ggmls() -> None:
    for kind, number in KIND_IDS.items():
        assert gguf.GGMLQuantizationType[kind] == number
        assert gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]] == BLOCKS[number]


def test_tensors_have_the_names_that_everybody_gives_them() -> None:
    known = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    for name, other in gguf_names(Shape(8, 8, 2, 1, 1, 8, 4)).items():
        assert known.get_name(name, try_suffixes=(".weight",)) == other


def test_the_model_that_ships_is_read() -> None:
    assert "▄" in GgufFile(model_path()).texts("tokenizer.ggml.tokens")


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("this is not a model, but a note")
    with pytest.raises(UserError, match="is not a GGUF file"):
        GgufFile(path)
