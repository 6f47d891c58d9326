"""A plain picture for a character who has none, in a colour of their own."""

from __future__ import annotations

import colorsys
import hashlib
from io import BytesIO
from typing import Final

_SIZE: Final = (400, 600)


def portrait(name: str) -> bytes:
    """Return head and shoulders as a PNG file; the same name has the same colour."""
    from PIL import Image, ImageDraw

    hue = hashlib.sha256(name.encode("utf-8", "replace")).digest()[0] / 256
    ground, figure = (_colour(hue, light) for light in (0.25, 0.6))
    width, height = _SIZE
    image = Image.new("RGB", _SIZE, ground)
    draw = ImageDraw.Draw(image)
    middle, radius = width // 2, width // 5
    draw.ellipse((middle - radius, 150, middle + radius, 150 + 2 * radius), figure)
    draw.ellipse((middle - 2 * radius, 350, middle + 2 * radius, height + 200), figure)
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _colour(hue: float, light: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hls_to_rgb(hue, light, 0.35)
    return round(red * 255), round(green * 255), round(blue * 255)
