"""What is read out: names first, sentences whole, nothing but text."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.linear.voice import Voice, told
from shoritui.story import Details, Entry, Kind

WORDS = st.text("ab .!?\"'*_,\n\té鈴。", max_size=60)
ANY = st.text("ab .!?\n\r\x1b[]_m\x07\x9b\u202e", max_size=60)


def entry(text: str, kind: Kind = "message", heard: tuple[str, ...] | None = None) -> Entry:
    details = Details(heard=heard)
    return Entry(1, None, kind, "Mara", None, text, "complete", 0.0, 0, details=details)


def streamed(pieces: list[str], begun: str = "") -> list[str]:
    """What is printed of a reply after each of its pieces, and after its end."""
    out, voice, seen = io.StringIO(), Voice(), []
    with redirect_stdout(out):
        voice.begin(entry(begun))
        for piece in pieces:
            voice.write(piece)
            seen.append(out.getvalue())
        voice.end(begun + "".join(pieces))
    return [*seen, out.getvalue()]


def words(text: str) -> list[str]:
    return text.split()


@given(st.lists(WORDS, max_size=8))
def test_a_reply_in_pieces_reads_as_it_does_whole(pieces: list[str]) -> None:
    printed = streamed(pieces)[-1]
    assert words(printed) == words(told(entry("".join(pieces))))
    assert printed.endswith("\n") and "\n\n" not in printed


@given(st.lists(ANY, max_size=8))
def test_no_piece_of_a_reply_moves_anything(pieces: list[str]) -> None:
    assert not set(streamed(pieces)[-1]) & set("\r\x1b\x07\x9b\u202e")


def test_a_reader_gets_whole_sentences() -> None:
    pieces = [
        "The la",
        "mp was",
        " gone. S",
        'he said: "No',
        '." The',
        " stairs creaked",
        ".\nThen",
    ]
    for printed in streamed([*pieces, " dark fell."])[:-1]:
        assert re.fullmatch(r"Mara:( .*[.\"]\n?)?", printed), printed
    assert streamed(pieces)[3:] == [
        "Mara: The lamp was gone.",
        *['Mara: The lamp was gone. She said: "No."'] * 2,
        'Mara: The lamp was gone. She said: "No." The stairs creaked.',
        'Mara: The lamp was gone. She said: "No." The stairs creaked.\nThen\n',
    ]


def test_what_goes_on_is_not_read_twice() -> None:
    assert streamed([" She", " ran."], begun="The lamp was gone.")[-1] == "Mara: She ran.\n"


def test_a_sentence_without_an_end_does_not_keep_a_reader_waiting() -> None:
    printed = streamed([f"word{number} " for number in range(200)])
    assert re.fullmatch(r"Mara:( word\d+){50,}", printed[120]), "and only whole words"
    assert words(printed[-1])[-1] == "word199"


@pytest.mark.parametrize(
    ("kind", "heard", "line"),
    [
        ("message", None, "Mara: One.\nTwo."),
        ("message", ("Bo", "Cy"), "Mara: (whispers to Bo, Cy) One.\nTwo."),
        ("ooc", None, "Mara: (out of character) One.\nTwo."),
        ("note", None, "(Note: One.\nTwo.)"),
        ("title", None, "(Title: One.\nTwo.)"),
        ("description", None, "(About Mara: One.\nTwo.)"),
        ("enter", None, "(Mara One. Two.)"),
    ],
)
def test_what_is_no_message_is_told_apart(
    kind: Kind, heard: tuple[str, ...] | None, line: str
) -> None:
    assert told(entry("One.\n\n  Two.", kind, heard)) == line
