"""Histograms: in which bin a number falls, and how bars and pictures show it."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import image

from shoritui.finetune.data.histogram import Histogram, bars, histogram_of, picture

LENGTHS = [12, 30, 31, 44, 60, 61, 62, 80, 200, 3_000]
BAR = "fill: #6b4e9b"


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
    drawn = picture(histogram, f"{len(numbers):,} messages", "tokens in a message", "svg")
    texts = [element.text for element in ElementTree.fromstring(drawn).iter() if element.text]
    assert f"{len(numbers):,} messages" in texts and "tokens in a message" in texts
    bars_in = [
        element
        for element in ElementTree.fromstring(drawn).iter()
        if BAR in element.get("style", "")
    ]
    assert len(bars_in) == len(histogram.counts)
    heights = [_height(element.get("d", "")) for element in bars_in]
    assert [height > 0 for height in heights] == [count > 0 for count in histogram.counts]
    assert heights.index(max(heights)) == histogram.counts.index(max(histogram.counts))


def _height(path: str) -> float:
    ys = [float(number) for number in re.findall(r"[ML] \S+ (\S+)", path)]
    return max(ys) - min(ys)


def test_an_svg_is_xml_whatever_the_words() -> None:
    drawn = picture(histogram_of(LENGTHS), '<script>"&', "a $b$ & c", "svg")
    texts = [element.text for element in ElementTree.fromstring(drawn).iter() if element.text]
    assert '<script>"&' in texts and "a $b$ & c" in texts


def test_the_same_figures_make_the_same_picture() -> None:
    one, other = (picture(histogram_of(LENGTHS), "ten", "tokens", "svg") for _ in range(2))
    assert one == other


def test_a_png_is_one_with_its_bars_in_it() -> None:
    data = picture(histogram_of(LENGTHS), "10 messages", "tokens in a message", "png")
    pixels = image.imread(io.BytesIO(data), "png")
    assert pixels.shape[:2] == (480, 960)
    purple = np.array([0x6B, 0x4E, 0x9B]) / 255
    assert (np.abs(pixels[..., :3] - purple).max(-1) < 0.01).sum() > 2_000
