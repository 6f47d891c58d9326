from __future__ import annotations

from pathlib import Path
from typing import IO

import gguf as reference
import pytest

from shoritui.bench import gguf
from shoritui.demo import model_path

METADATA: dict[str, gguf.Value] = {
    "general.architecture": b"llama",
    "a.number": 7,
    "a.share": 0.5,
    "a.flag": True,
    "texts": ["▀".encode(), b"", b"b"],
    "scores": [0.0, -1.5],
    "kinds": [1, -2, 3],
}
TENSORS = [
    gguf.Tensor("ones", (64,), "F32"),
    gguf.Tensor("q4", (32, 3), "Q4_0"),
    gguf.Tensor("q8", (64, 2), "Q8_0"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.gguf"
    with path.open("wb") as out:
        out.write(gguf.header(METADATA, TENSORS))
        gguf.write_tensors(out, TENSORS, write_sevens)
    return path


def write_sevens(file: IO[bytes], tensor: gguf.Tensor) -> None:
    file.write(bytes([7]) * tensor.size_bytes)


def test_what_is_written_is_read_again(file: Path) -> None:
    assert gguf.read_metadata(file) == METADATA


def test_others_read_it_alike(file: Path) -> None:
    reader = reference.GGUFReader(file)
    assert [tensor.name for tensor in reader.tensors] == ["ones", "q4", "q8"]
    assert [tuple(tensor.shape) for tensor in reader.tensors] == [(64,), (32, 3), (64, 2)]
    assert [tensor.n_bytes for tensor in reader.tensors] == [each.size_bytes for each in TENSORS]
    assert all((tensor.data.view("uint8") == 7).all() for tensor in reader.tensors)
    field = reader.get_field("scores")
    assert field is not None and field.contents() == [0.0, -1.5]


def test_the_model_that_ships_is_read() -> None:
    metadata = gguf.read_metadata(model_path())
    tokens = metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, list) and "▄".encode() in tokens


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("this is not a model, but a note")
    with pytest.raises(ValueError):
        gguf.read_metadata(path)
