"""The emoji before a message: whole ones, one to three of them, and only before something."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import moods

EMOJI = ["😊", "👩‍🚀", "❤️", "❤️‍🔥", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇩🇪", "👍🏽", "☝🏽", "👩‍👩‍👧‍👦", "🧔‍♂️", "✨"]


@given(
    st.sampled_from(["", "One.\n", "One.\n\n"]),
    st.lists(st.sampled_from(EMOJI), max_size=5),
    st.sampled_from(["", " "]),
    st.booleans(),
)
def test_one_to_three_emoji_before_a_line_are_its_mood(
    before: str, emoji: list[str], gap: str, has_blank: bool
) -> None:
    mood = gap.join(emoji) + " " * has_blank
    expected = [(len(before), len(before) + len(mood))] if 1 <= len(emoji) <= 3 else []
    assert moods(f"{before}{mood}He sat.") == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('He sat. 😟 "Only now."', 'He sat. "Only now."'),
        ("😊 “Hi.” 😄😄 _Ha!_ 😄 she 😊", "“Hi.” _Ha!_ 😄 she 😊"),
        ("❤️ love\n😊\nHi", "love\n😊\nHi"),
    ],
)
def test_moods_stand_before_a_line_a_speech_or_a_thought(text: str, shown: str) -> None:
    for start, end in reversed(moods(text)):
        text = text[:start] + text[end:]
    assert text == shown


@pytest.mark.parametrize(
    "text",
    ["", "Hi 😊", "😊", "😊 😊\n", "★ x", "❤ x", "→ x", "1️⃣ x", "“Hi”", "— x", "😊\u200d", "🇩 x"],
)
def test_other_texts_have_none(text: str) -> None:
    assert moods(text) == []


def test_hostile_text_takes_no_longer() -> None:
    for text in ("😊 " * 20_000, "👩\u200d" * 20_000, "🇩" * 20_000, "❤" * 20_000):
        assert moods(text) == []
