"""A histogram as a picture: rectangles and words, as SVG or as pixels in a PNG.

It does not know what is counted; whoever wants a picture brings the words.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

import numpy as np

from shoritui.finetune.data.glyphs import HEIGHT as GLYPH_HEIGHT
from shoritui.finetune.data.glyphs import WIDTH as GLYPH_WIDTH
from shoritui.finetune.data.glyphs import glyphs
from shoritui.finetune.data.histogram import Histogram, round_numbers

Color = tuple[int, int, int]
Anchor = Literal["start", "middle", "end"]

WIDTH: Final = 960
HEIGHT: Final = 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 30, 60, 80
_PAPER: Final[Color] = (255, 255, 255)
_GRID: Final[Color] = (221, 221, 228)
_BAR: Final[Color] = (107, 78, 155)
_INK: Final[Color] = (48, 44, 60)
_SCALE: Final = 2
"""Pixels of one dot of a glyph."""
_LETTER: Final = (GLYPH_WIDTH + 1) * _SCALE


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle, from its upper left corner."""

    x: int
    y: int
    width: int
    height: int
    color: Color


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text; `y` is its baseline."""

    x: int
    y: int
    text: str
    anchor: Anchor = "start"


Shape = Box | Words


def draw(histogram: Histogram, title: str, axis: str) -> list[Shape]:
    """The shapes of a histogram; what stands later is above.

    `title` stands over it, and `axis` says under it what the numbers are.
    """
    wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    floor = HEIGHT - _BOTTOM
    step = _step(max(histogram.counts))
    top = max(step * -(-max(histogram.counts) // step), 1)
    shapes: list[Shape] = [Box(0, 0, WIDTH, HEIGHT, _PAPER), Words(_LEFT, 36, title)]
    for count in range(0, top + 1, step):
        y = floor - count * high // top
        shapes += [Box(_LEFT, y, wide, 1, _GRID), Words(_LEFT - 10, y + 6, f"{count:,}", "end")]
    places = [_LEFT + wide * at // len(histogram.counts) for at in range(len(histogram.counts) + 1)]
    for at, count in enumerate(histogram.counts):
        tall = count * high // top or (1 if count else 0)
        begin, end = places[at] + 2, places[at + 1] - 1
        shapes.append(Box(begin, floor - tall, end - begin, tall, _BAR))
    shapes.append(Box(_LEFT, floor, wide, 1, _INK))
    shapes += _numbers(histogram, places, floor)
    return [*shapes, Words(_LEFT + wide // 2, HEIGHT - 18, axis, "middle")]


def _numbers(histogram: Histogram, places: list[int], floor: int) -> Iterator[Shape]:
    """Where bins begin: all of them, or every second or so where there is less room."""
    last = len(histogram.counts) - 1
    widest = (len(f"{last * histogram.width + 1:,}") + 2) * _LETTER
    stride = next(step for step in round_numbers() if step * (places[1] - places[0]) >= widest)
    for at in range(0, last + 1, stride):
        text = f"{at * histogram.width + 1:,}" + "+" * (histogram.is_open and at == last)
        yield Box(places[at], floor, 1, 6, _INK)
        yield Words(places[at], floor + 26, text, "middle")


def _step(most: int) -> int:
    """The distance of the lines behind the bars: five or so, at numbers easily read."""
    return next(step for step in round_numbers() if step * 5 >= most)


def svg(shapes: list[Shape]) -> str:
    """The picture as an SVG file."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="16">'
    ]
    for shape in shapes:
        if isinstance(shape, Box):
            lines.append(
                f'<rect x="{shape.x}" y="{shape.y}" width="{shape.width}" '
                f'height="{shape.height}" fill="{_hex(shape.color)}"/>'
            )
        else:
            lines.append(
                f'<text x="{shape.x}" y="{shape.y}" text-anchor="{shape.anchor}" '
                f'fill="{_hex(_INK)}">{escape(shape.text)}</text>'
            )
    return "\n".join([*lines, "</svg>\n"])


def png(shapes: list[Shape]) -> bytes:
    """The picture as a PNG file; of the words, those letters that `glyphs` has."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for shape in shapes:
        if isinstance(shape, Box):
            pixels[shape.y : shape.y + shape.height, shape.x : shape.x + shape.width] = shape.color
        else:
            _write(pixels, shape)
    rows = np.concatenate([np.zeros((HEIGHT, 1), np.uint8), pixels.reshape(HEIGHT, -1)], axis=1)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _write(pixels: np.typing.NDArray[np.uint8], words: Words) -> None:
    long = len(words.text) * _LETTER - _SCALE
    x = words.x - {"start": 0, "middle": long // 2, "end": long}[words.anchor]
    y = words.y - GLYPH_HEIGHT * _SCALE + _SCALE
    for letter in words.text:
        for column, row in glyphs().get(letter, ()):
            left, top = x + column * _SCALE, y + row * _SCALE
            pixels[top : top + _SCALE, left : left + _SCALE] = _INK
        x += _LETTER


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _hex(color: Color) -> str:
    return "#" + "".join(f"{part:02x}" for part in color)
