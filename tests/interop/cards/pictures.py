"""PNG pictures with cards in them, as other programs write them."""

from __future__ import annotations

import base64
import json
import zlib
from io import BytesIO
from typing import Any
from zipfile import ZIP_STORED, ZipFile

from PIL import Image

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


def drawn(form: str = "PNG", size: tuple[int, int] = (6, 4), **options: Any) -> bytes:
    """A picture with two colours, as Pillow writes it."""
    image = Image.new("RGB", size, "#703010")
    image.paste("#20a0f0", (0, 0, size[0] // 2, size[1]))
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def commented(form: str, comment: bytes) -> bytes:
    """A JPEG or WEBP picture with a user's comment in its EXIF data."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    return drawn(form, exif=exif)


def animated(*texts: bytes) -> bytes:
    """An APNG of two frames, with chunks."""
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    file = BytesIO()
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    content = file.getvalue()
    return content[:-12] + b"".join(texts) + content[-12:]


def archive(files: dict[str, bytes], before: bytes = b"", packing: int = ZIP_STORED) -> bytes:
    """A zip archive, behind something else."""
    file = BytesIO()
    with ZipFile(file, "w", packing) as written:
        for name, content in files.items():
            written.writestr(name, content)
    return before + file.getvalue()
