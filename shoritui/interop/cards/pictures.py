"""Pictures as other programs send them, read by Pillow: only what can be shown is kept.

Whatever is in a file, no more than `_MOST_POINTS` are unpacked, and a decoder's complaint is one
sentence.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Final

from shoritui.errors import UserError
from shoritui.interop.cards.png import SIGNATURE, without_card

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST_POINTS: Final = 25_000_000
_EXIF_IFD: Final = 0x8769
_USER_COMMENT: Final = 0x9286
_JPEG: Final = b"\xff\xd8\xff"
_MOST_SCANS: Final = 100
"""Passes over a JPEG picture; each costs as much as the whole picture, however few its bytes."""
_MOST_MARKERS: Final = 10_000
_MARKER: Final = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)
"""A marker in a JPEG file, but for those that may stand among the points of a picture."""
_SCAN, _END, _BARE = 0xDA, 0xD9, (0x01, 0xD8)
_CANVAS: Final = slice(24, 30)
"""Where an extended WEBP file has its width and height, each less one."""


def is_jpeg(beginning: bytes) -> bool:
    """Return whether a file that begins so is a JPEG picture."""
    return beginning.startswith(_JPEG)


def is_webp(beginning: bytes) -> bool:
    """Return whether a file that begins so is a WEBP picture."""
    return beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP"


def png_of(content: bytes) -> bytes:
    """Return a picture (PNG, APNG, JPEG, WEBP) as a PNG file without a card in it.

    A PNG file stays as it is otherwise, with all that its maker wrote into it.

    Raises:
        UserError: It is none of these, damaged, or too large.
    """
    if content.startswith(SIGNATURE):
        content = without_card(content)
        with _opened(content) as image:
            image.load()
        return content
    if is_jpeg(content):
        _check_scans(content)
    from PIL import ImageOps

    with _opened(content) as image:
        turned = ImageOps.exif_transpose(image)
        plain = turned.convert("RGBA" if turned.has_transparency_data else "RGB")
        plain.info = {}
        file = BytesIO()
        plain.save(file, "PNG", compress_level=3)
        return file.getvalue()


def comment_in(content: bytes) -> bytes:
    """Return the user's comment in the EXIF data of a picture; nothing if it has none.

    The comment is as in the file: eight bytes that name its letters, then the text.

    Raises:
        UserError: The picture is damaged, or too large.
    """
    with _opened(content) as image:
        exif = image.getexif()
        found = exif.get_ifd(_EXIF_IFD).get(_USER_COMMENT) or exif.get(_USER_COMMENT)
    if isinstance(found, str):
        return found.encode("utf-8", "replace")
    return found if isinstance(found, bytes) else b""


@contextmanager
def _opened(content: bytes) -> Iterator[Image]:
    """A picture of few enough points; what Pillow raises within is a `UserError`."""
    from PIL import Image

    try:
        # Decoders warn of what they mend; on a full screen there is no place for that.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if is_webp(content[:12]):
                _check_canvas(content)
            with Image.open(BytesIO(content), formats=("PNG", "JPEG", "WEBP")) as image:
                _check_points(*image.size)
                yield image
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise _too_large() from None
    except Exception:  # whatever a decoder makes of a damaged file
        raise UserError("the picture is damaged, or none of PNG, JPEG and WEBP") from None


def _check_scans(content: bytes) -> None:
    """Refuse a JPEG picture that takes far longer to unpack than one of its size."""
    scans = count = at = 0
    while (found := _MARKER.search(content, at)) and (kind := found[1][0]) != _END:
        at = found.end()
        if kind not in _BARE:
            at += int.from_bytes(content[at : at + 2])
        scans, count = scans + (kind == _SCAN), count + 1
        if scans > _MOST_SCANS or count > _MOST_MARKERS:
            raise UserError("the picture takes too many passes to unpack")


def _check_canvas(content: bytes) -> None:
    """Refuse a WEBP picture before Pillow makes room for all of it."""
    if content[12:16] == b"VP8X":
        width, height = content[_CANVAS][:3], content[_CANVAS][3:]
        _check_points(int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1)


def _check_points(width: int, height: int) -> None:
    if width * height > _MOST_POINTS:
        raise _too_large()


def _too_large() -> UserError:
    return UserError(f"the picture has more than {_MOST_POINTS // 10**6} million points")
