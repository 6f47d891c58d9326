"""What a model file says of itself, and what is refused before its weights are loaded."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from shoritui.engine import Adapter, Engine, EngineOptions, inspect_model
from shoritui.errors import UserError
from tests.models import gguf_files as shelf_files

pytestmark = pytest.mark.slow

KEY_LENGTH = "llama.attention.key_length"
KV_HEADS = "llama.attention.head_count_kv"


def place(data: bytes, key: str) -> int:
    """Where the value of a key begins, its type first."""
    name = struct.pack("<Q", len(key)) + key.encode()
    return data.index(name) + len(name)


def changed(data: bytes, key: str, value: int) -> bytes:
    at = place(data, key) + 4
    return data[:at] + struct.pack("<I", value) + data[at + 4 :]


def listed(data: bytes, key: str, values: list[int]) -> bytes:
    """The file with a list in place of a number, and a key that keeps the tensors aligned."""
    at = place(data, key)
    array = struct.pack(f"<IIQ{len(values)}I", 9, 4, len(values), *values)
    grown = len(array) - 8
    length = -(grown + 13) % 32 or 32
    filler = struct.pack("<Q", length) + b"x" * length + struct.pack("<IB", 0, 1)
    (count,) = struct.unpack_from("<Q", data, 16)
    head = data[:16] + struct.pack("<Q", count + 1)
    return head + filler + data[24:at] + array + data[at + 8 :]


def refused(path: Path, options: EngineOptions) -> str:
    with pytest.raises(UserError) as caught:
        inspect_model(path, options)
    return str(caught.value)


def test_sizes_may_be_stated_for_each_layer(model: Path, tmp_path: Path) -> None:
    plain = inspect_model(model)
    same, fewer = tmp_path / "same.gguf", tmp_path / "fewer.gguf"
    same.write_bytes(listed(model.read_bytes(), KV_HEADS, [4] * 5))
    fewer.write_bytes(listed(model.read_bytes(), KV_HEADS, [4, 4, 4, 4, 1]))
    assert inspect_model(same).memory_bytes == plain.memory_bytes
    assert inspect_model(fewer).memory_bytes < plain.memory_bytes

    async def open_and_close() -> None:
        engine = Engine()
        await engine.open(same)
        await engine.close()

    asyncio.run(open_and_close())


def test_the_kv_type_decides_about_memory(model: Path) -> None:
    needed = [
        inspect_model(model, EngineOptions(n_ctx=16384, kv_type=kv_type)).memory_bytes
        for kv_type in ("f16", "q8_0", "q4_0")
    ]
    assert needed == sorted(needed, reverse=True) and needed[0] > 1.5 * needed[2]


def test_a_second_context_counts(model: Path) -> None:
    shift, exact = (
        inspect_model(model, EngineOptions(n_ctx=8192, context_mode=mode))
        for mode in ("shift", "exact")
    )
    assert (shift.context_mode, exact.context_mode) == ("shift", "exact")
    assert exact.memory_bytes - shift.memory_bytes > 8192 * 20 * 2 * 64 * 2 * 0.99


def test_what_the_head_size_cannot_do_is_refused(model: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(changed(model.read_bytes(), KEY_LENGTH, 80))
    packed = EngineOptions(kv_type="q8_0")
    assert refused(odd, packed) == (
        'odd.gguf: its attention heads of 80 values cannot be stored as q8_0: set kv_type = "f16".'
    )
    odd.write_bytes(changed(model.read_bytes(), KEY_LENGTH, 32))
    assert "cannot shift" in refused(odd, replace(packed, context_mode="shift"))
    assert inspect_model(odd, packed).context_mode == "exact"


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"general.architecture": "llama"}, "is no adapter: expected a LoRA GGUF"),
        (
            {"general.type": "adapter", "adapter.type": "control_vector"},
            "is an adapter of the type 'control_vector': expected 'lora'",
        ),
        (
            {
                "general.type": "adapter",
                "adapter.type": "lora",
                "general.architecture": "qwen2",
            },
            "is an adapter for qwen2 models, the model is of the kind llama",
        ),
    ],
)
def test_what_is_no_adapter_for_this_model_is_told(
    model: Path, tmp_path: Path, metadata: dict[str, object], told: str
) -> None:
    path = shelf_files.write(tmp_path / "adapter.gguf", shelf_files.gguf(metadata))
    sentence = refused(model, EngineOptions(adapters=(Adapter(path),)))
    assert told in sentence and sentence.startswith("adapter.gguf")


@pytest.mark.parametrize("content", [None, b"", b"hello", b"GGUF\3\0\0\0"])
def test_an_adapter_file_that_cannot_be_read_is_told(
    model: Path, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "adapter.gguf"
    if content is not None:
        path.write_bytes(content)
    sentence = refused(model, EngineOptions(adapters=(Adapter(path),)))
    assert "adapter.gguf" in sentence and sentence.isprintable()


def test_an_adapter_counts_in_memory(model: Path, tmp_path: Path) -> None:
    metadata: dict[str, object] = {
        "general.type": "adapter",
        "adapter.type": "lora",
        "general.architecture": "llama",
    }
    file = shelf_files.gguf(metadata, [(256, 4096)])
    path = shelf_files.write(tmp_path / "adapter.gguf", file)
    info = inspect_model(model, EngineOptions(adapters=(Adapter(path),)))
    assert info.adapters == (Adapter(path),)
    assert info.memory_bytes - inspect_model(model).memory_bytes == len(file)
