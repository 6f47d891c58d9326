"""Replies that repeat themselves are noticed, and refrains are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.director.loops import kept_end, loop_start, repetition, whole_end


@given(st.text(max_size=60), st.text(min_size=1, max_size=150))
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
        "* * * " * 16,
        "Nooooooooooooooooooooo!",
        "No-no-no-no-no-no-no-no-no-no!",
        "Row, row, row your boat, " * 5,
        "No two words of this one are quite the same, which is what a story needs. " * 4,
    ],
)
def test_a_refrain_is_no_loop(text: str) -> None:
    assert loop_start(text) is None


@given(st.lists(st.integers(0, 10**6), min_size=150, max_size=200, unique=True))
def test_a_text_that_goes_on_is_no_loop(numbers: list[int]) -> None:
    assert loop_start(" ".join(f"{number:06}" for number in numbers)) is None


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('He sat. "Come in." The anti' + "anti" * 60, 'He sat. "Come in."'),
        ("He ran. " * 40, "He ran."),
        ("Wake me if the anti" + "anti" * 60, "Wake me if the"),
        ("ha " * 60, "ha"),
        ("x" * 200, "x"),
        ("He fell. " + "A" * 40, "He fell."),
        ("He fell.\n" + "a\n" * 40, "He fell."),
        ("He fell. W" + "-w" * 20, "He fell."),
        ("She saw Mr. W" + "-w" * 20, "She saw Mr."),
        ('He sat. "Come in. The anti' + "anti" * 60, "He sat."),
        ("她坐下了。她说" + "好的" * 60, "她坐下了。"),
    ],
)
def test_a_loop_is_cut_back_to_a_whole_sentence_or_word(text: str, kept: str) -> None:
    start = loop_start(text)
    assert start is not None
    assert text[: whole_end(text, start)] == kept


def test_what_stood_before_a_reply_went_on_is_not_cut() -> None:
    text = "One. Two and the " + "anti" * 60
    start = loop_start(text)
    assert start is not None
    assert text[: whole_end(text, start, len("One. Two and th"))] == "One. Two and the"


SENTENCES = st.lists(st.sampled_from(["He ran. ", "No! ", "the anti", "aa", " ", "Well? "]))


@given(SENTENCES, st.sampled_from(["anti", "He ran. ", "a", "so and so, "]))
def test_what_is_sure_to_stay_grows_and_stays(words: list[str], piece: str) -> None:
    text, sure = "", 0
    for part in [*words, *[piece] * 150]:
        text += part
        now = kept_end(text)
        assert now >= sure
        sure = now
        if (start := loop_start(text)) is not None:
            assert sure <= whole_end(text, start)
            return


@given(st.integers(1, 3000))
def test_a_loop_is_seen_whatever_its_period(period: int) -> None:
    numbers = "".join(f"{number:04} " for number in range(period))[:period]
    least = max(period, min(5 * period, 500), 120 - period)
    text = f"He sat down. {numbers}" + (numbers * 130)[:least]
    start = loop_start(text)
    assert start is not None and len("He sat down. ") <= start <= len("He sat down. ") + period


def test_what_was_said_before_is_repetition() -> None:
    assert repetition("She lifted the lantern and looked at the fog on the water.") == 0
    assert repetition("He sat down and looked. " * 5) > 0.7
    before = "She lifted the lantern and looked at the fog on the water."
    assert repetition("Then she lifted the lantern and looked at the rain.", [before]) > 0.4
    assert repetition("") == 0
