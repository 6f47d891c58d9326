"""Histograms: in which bin a number falls, and how bars and pictures show it."""

from __future__ import annotations

import struct
import zlib
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.finetune.data.glyphs import glyphs
from shoritui.finetune.data.histogram import Histogram, bars, histogram_of
from shoritui.finetune.data.picture import HEIGHT, WIDTH, Box, Words, draw, png, svg

LENGTHS = [12, 30, 31, 44, 60, 61, 62, 80, 200, 3_000]
BAR = (107, 78, 155)


@given(st.lists(st.integers(0, 10**6)))
def test_every_number_is_in_its_bin(numbers: list[int]) -> None:
    histogram = histogram_of(numbers)
    assert sum(histogram.counts) == len(numbers)
    assert len(histogram.counts) <= 25
    last = len(histogram.counts) - 1
    for at, count in enumerate(histogram.counts):
        least = at * histogram.width + 1
        most = 10**6 if histogram.is_open and at == last else least + histogram.width - 1
        assert count == sum(least <= max(number, 1) <= most for number in numbers)


def test_a_few_giants_do_not_flatten_the_rest() -> None:
    histogram = histogram_of([*range(1, 301), 9_000, 12_000])
    assert (histogram.width, histogram.is_open) == (20, True)
    assert histogram.label(0) == "1-20" and histogram.label(15) == "301+"
    assert histogram.counts[-1] == 2


def test_labels_are_easily_read() -> None:
    assert histogram_of([1, 2, 3]).label(2) == "3"
    assert histogram_of([30_000]).label(1) == "2,001-4,000"
    assert histogram_of([]).counts == (0,)


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_bars_fill_the_width_they_have(columns: int) -> None:
    lines = bars(Histogram(20, (1, 8, 0, 4000), True), columns)
    assert max(map(len, lines)) <= max(columns, 30) and max(map(len, lines)) >= columns - 6
    assert [line.split()[0] for line in lines] == ["1-20", "21-40", "41-60", "61+"]
    assert [line.split()[-1] for line in lines] == ["1", "8", "0", "4,000"]
    assert "█" in lines[3] and "▏" in lines[0], "what is there at all shows"
    assert lines[2].split() == ["41-60", "0"]


@pytest.mark.parametrize("numbers", [LENGTHS, [5], [], list(range(1, 24_000))])
def test_a_picture_holds_what_is_counted(numbers: list[int]) -> None:
    histogram = histogram_of(numbers)
    shapes = draw(histogram, f"{len(numbers):,} messages", "tokens in a message")
    drawn = [shape for shape in shapes if isinstance(shape, Box) and shape.color == BAR]
    assert [box.height > 0 for box in drawn] == [count > 0 for count in histogram.counts]
    tallest = max(drawn, key=lambda box: box.height)
    assert drawn.index(tallest) == histogram.counts.index(max(histogram.counts))
    for shape in shapes:
        if isinstance(shape, Box):
            assert 0 <= shape.x <= shape.x + shape.width <= WIDTH
            assert 0 <= shape.y <= shape.y + shape.height <= HEIGHT
        else:
            assert glyphs().keys() >= set(shape.text), "every letter can be drawn as pixels"


def test_an_svg_is_xml_whatever_the_words() -> None:
    shapes = draw(histogram_of(LENGTHS), '<script>"&', "a & b")
    texts = [element.text for element in ElementTree.fromstring(svg(shapes)).iter() if element.text]
    assert '<script>"&' in texts and "a & b" in texts


def test_a_png_is_whole_and_its_bars_stand_where_they_are_drawn() -> None:
    shapes = draw(histogram_of(LENGTHS), "10 messages", "tokens in a message")
    data = png(shapes)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size)[0] == zlib.crc32(name + body)
        chunks[name] = body
        at += size + 12
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (WIDTH, HEIGHT)
    rows = zlib.decompress(chunks[b"IDAT"])
    assert len(rows) == HEIGHT * (1 + 3 * WIDTH)
    for box in (shape for shape in shapes if isinstance(shape, Box) and shape.color == BAR):
        for row in range(box.y, box.y + box.height, 40):
            place = row * (1 + 3 * WIDTH) + 1 + 3 * (box.x + box.width // 2)
            assert tuple(rows[place : place + 3]) == BAR


def test_words_without_a_glyph_leave_a_gap() -> None:
    assert png([Words(10, 20, "é")]) == png([])
