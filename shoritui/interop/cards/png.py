"""The texts in a PNG picture, where other programs keep character cards.

A file is a signature and chunks: length, type, content, checksum. A card stands in a text chunk
(plain `tEXt`, packed `zTXt`, or `iTXt`, which may be either) as base64 of its JSON.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

from shoritui.errors import UserError
from shoritui.text import size

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
LARGEST: Final = 16 << 20
"""Bytes of a card's JSON, unpacked."""
_MOST_CHUNKS: Final = 100_000
_KEYWORDS: Final = ("ccv3", "chara")
"""What a card's text is called; the newer format wins."""
_ASSETS: Final = "chara-ext-asset_"
ASSET: Final = f"{_ASSETS}:"
"""What the keyword of a file's chunk begins with; its name follows."""
_TEXTS: Final = (b"tEXt", b"zTXt", b"iTXt")


def card_in(content: bytes) -> bytes:
    """Return the JSON of the character card in a PNG file.

    Raises:
        UserError: There is none, or it is damaged or too large.
    """
    found: dict[str, bytes] = {}
    for kind, body in _texts(content):
        keyword, _, rest = body.partition(b"\0")
        name = keyword.decode("latin-1").lower()
        if name in _KEYWORDS and name not in found:
            found[name] = _text(kind, rest)
    for name in _KEYWORDS:
        if name in found:
            return _decoded(found[name])
    raise UserError("it is a picture without a character card")


def asset_chunks(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file in a PNG (RisuAI, V3), up to what is damaged."""
    with suppress(UserError, binascii.Error):
        for kind, body in _texts(content):
            keyword, _, text = body.partition(b"\0")
            name = keyword.decode("latin-1")
            if kind == b"tEXt" and name.startswith(_ASSETS):
                file = base64.b64decode(text)
                yield name.removeprefix(_ASSETS).removeprefix(":"), file


def without_card(content: bytes) -> bytes:
    """Return a PNG file without the cards in it, and without what follows its end.

    Raises:
        UserError: It is damaged.
    """
    kept = [SIGNATURE]
    for kind, start, end in _chunks(content):
        if not (kind in _TEXTS and _keyword(content[start + 8 : end]) in _KEYWORDS):
            kept.append(content[start:end])
        if kind == b"IEND":
            return b"".join(kept)
    raise UserError("the picture ends in the middle")


def with_texts(content: bytes, texts: Mapping[str, bytes]) -> bytes:
    """Return a PNG file with more texts, each under its keyword, before its end.

    Raises:
        UserError: The file is damaged.
    """
    end = next((start for kind, start, _ in _chunks(content) if kind == b"IEND"), None)
    if end is None:
        raise UserError("the picture ends in the middle")
    new = b"".join(
        _chunk(b"tEXt", keyword.encode("latin-1") + b"\0" + base64.b64encode(text))
        for keyword, text in texts.items()
    )
    return content[:end] + new + content[end:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def _keyword(body: bytes) -> str:
    return body.partition(b"\0")[0].decode("latin-1").lower()


def _texts(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and content of each text chunk."""
    for kind, start, end in _chunks(content):
        if kind in _TEXTS:
            if zlib.crc32(content[start + 4 : end - 4]) != int.from_bytes(content[end - 4 : end]):
                raise UserError("a text in the picture is damaged (its checksum is another)")
            yield kind, content[start + 8 : end - 4]
        if kind == b"IEND":
            return


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each chunk, where it begins, and where it ends."""
    start, count = len(SIGNATURE), 0
    while start < len(content):
        if (count := count + 1) > _MOST_CHUNKS:
            raise UserError(f"the picture has more than {_MOST_CHUNKS:,} parts")
        length, kind = int.from_bytes(content[start : start + 4]), content[start + 4 : start + 8]
        end = start + 12 + length
        if end > len(content):
            raise UserError("the picture ends in the middle")
        yield kind, start, end
        start = end


def _text(kind: bytes, rest: bytes) -> bytes:
    """Return the text that follows a keyword in a chunk."""
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return _unpacked(rest[1:])
    is_packed, body = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    return _unpacked(body) if is_packed else body


def _unpacked(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, 2 * LARGEST)
    except zlib.error:
        raise UserError("the card in the picture is packed, and damaged") from None
    if unpacker.unconsumed_tail:
        raise UserError(f"the card in the picture is larger than {size(LARGEST)}")
    if not unpacker.eof:
        raise UserError("the card in the picture is packed, and ends in the middle")
    return text


def _decoded(text: bytes) -> bytes:
    if text.startswith(b"rcc||"):
        raise UserError("the card in the picture is encrypted by RisuAI")
    if text.lstrip()[:1] == b"{":
        return text
    coded = b"".join(text.split()).rstrip(b"=\0")
    try:
        return base64.b64decode(coded + b"=" * (-len(coded) % 4), validate=True)
    except binascii.Error:
        raise UserError("the card in the picture is damaged (it is no base64)") from None
