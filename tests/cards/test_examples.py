"""Example messages: who says each, and that no text is too much."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoritui.cards import conversations

NAMES = ("Wren", "Mara", "Captain")


def test_a_name_of_the_cast_begins_a_message_and_nothing_else_does() -> None:
    text = (
        "She waits.\n<START>\nWREN : Is it far?\n\nMara:\nFar?\nNote: she laughed.\n"
        "  <start>  \n<START>\nCaptain: Aye: aye.\nMara:\n"
    )
    assert conversations(text, "Mara", NAMES) == (
        (("Mara", "She waits."),),
        (("Wren", "Is it far?"), ("Mara", "Far?\nNote: she laughed.")),
        (("Captain", "Aye: aye."),),
    )
    assert conversations("<START>", "Mara", NAMES) == conversations("", "Mara", NAMES) == ()


pieces = st.sampled_from(["<START>", "\n", "Mara:", "Wren: ", ":", " ", "Hm.", "<start>x"])


@given(st.lists(pieces, max_size=30).map("".join) | st.text())
def test_nothing_that_is_said_is_lost_or_empty(text: str) -> None:
    talks = conversations(text, "Mara", NAMES)
    said = [message for talk in talks for _, message in talk]
    assert all(talk for talk in talks) and all(each == each.strip() != "" for each in said)
    assert {name for talk in talks for name, _ in talk} <= {"Mara", "Wren", "Captain"}
    assert text.count("Hm.") == sum(each.count("Hm.") for each in said)


def test_a_book_of_examples_is_cut() -> None:
    talks = conversations("Mara: a\n" * 500_000, "Mara", NAMES)
    assert sum(map(len, talks)) == 200
