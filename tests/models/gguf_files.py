"""GGUF files for tests, byte by byte, and the folders of other programs."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

MARKS = ("<unk>", "▀", "▄", "<0x0A>", "a")


class Raw(bytes):
    """A value of the metadata with its type, as it stands in a file."""


def string(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data


def strings(texts: Sequence[str]) -> Raw:
    return Raw(struct.pack("<IIQ", 9, 8, len(texts)) + b"".join(map(string, texts)))


def value(content: object) -> bytes:
    match content:
        case Raw():
            return content
        case bool():
            return struct.pack("<I?", 7, content)
        case int():
            return struct.pack("<II", 4, content)
        case float():
            return struct.pack("<If", 6, content)
        case str() | bytes():
            return struct.pack("<I", 8) + string(content)
    raise AssertionError(content)


def gguf(
    metadata: dict[str, object],
    tensors: Sequence[tuple[int, ...]] = ((4, 8),),
    *,
    version: int = 3,
    missing: int = 0,
) -> bytes:
    """A file whose tensors are 32-bit zeros; `missing` bytes of them were not copied."""
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    header += b"".join(string(key) + value(content) for key, content in metadata.items())
    offset = 0
    for index, shape in enumerate(tensors):
        header += string(f"t{index}") + struct.pack("<I", len(shape))
        header += b"".join(struct.pack("<Q", side) for side in shape)
        header += struct.pack("<IQ", 0, offset)
        elements = 1
        for side in shape:
            elements *= side
        offset += -(-4 * elements // 32) * 32
    header += bytes(-len(header) % 32)
    return (header + bytes(offset))[: len(header) + offset - missing]


def model(**more: object) -> dict[str, object]:
    """The metadata of a small model; keys are given with `__` for a dot."""
    return {
        "general.architecture": "llama",
        "general.file_type": 15,
        "llama.context_length": 4096,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": strings(MARKS),
        **{key.replace("__", "."): content for key, content in more.items()},
    }


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
