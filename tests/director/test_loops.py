"""Replies that repeat themselves are noticed, and refrains are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.director.loops import LONGEST_PERIOD, loop_start


@given(st.text(max_size=60), st.text(min_size=1, max_size=LONGEST_PERIOD))
def test_a_piece_repeated_on_and_on_is_kept_once(before: str, piece: str) -> None:
    text = before + piece * 130
    start = loop_start(text)
    assert start is not None
    assert start <= len(before) + len(piece)
    assert text[:start] + text[start:] == text and len(set(text[start:])) <= len(set(piece))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "She waited......... and waited.",
        "Ha! Ha! Ha! Ha! Ha! Ha! Ha! Ha!",
        "-" * 80,
        "Row, row, row your boat, " * 5,
        "No two words of this one are quite the same, which is what a story needs. " * 4,
    ],
)
def test_a_refrain_is_no_loop(text: str) -> None:
    assert loop_start(text) is None


@given(st.lists(st.integers(0, 10**6), min_size=150, max_size=200, unique=True))
def test_a_text_that_goes_on_is_no_loop(numbers: list[int]) -> None:
    assert loop_start(" ".join(f"{number:06}" for number in numbers)) is None
