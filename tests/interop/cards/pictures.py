"""PNG pictures with cards in them, as other programs write them."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body).to_bytes(4)
    return len(body).to_bytes(4) + kind + body + checksum


def picture(*texts: bytes) -> bytes:
    """A grey point, and chunks."""
    head = chunk(b"IHDR", b"\0\0\0\1\0\0\0\1\x08\0\0\0\0")
    pixels = chunk(b"IDAT", zlib.compress(b"\0\x80"))
    return SIGNATURE + head + pixels + b"".join(texts) + chunk(b"IEND", b"")


def coded(card: dict[str, Any]) -> bytes:
    return base64.b64encode(json.dumps(card).encode())


def plain(keyword: str, card: dict[str, Any]) -> bytes:
    return chunk(b"tEXt", keyword.encode() + b"\0" + coded(card))


def packed(keyword: str, card: dict[str, Any]) -> bytes:
    return chunk(b"zTXt", keyword.encode() + b"\0\0" + zlib.compress(coded(card)))


def international(keyword: str, card: dict[str, Any], *, is_packed: bool) -> bytes:
    text = zlib.compress(coded(card)) if is_packed else coded(card)
    return chunk(b"iTXt", keyword.encode() + b"\0" + bytes([is_packed, 0]) + b"en\0\0" + text)
