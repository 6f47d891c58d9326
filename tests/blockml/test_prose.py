"""Prose spans: what the marks mean, and that pieces of any size give the same spans."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import ProseLexer, lex

MARKED = st.text(alphabet="ab A_*\"'>`\n.é😊“”«», ", max_size=80)


def looks(text: str) -> list[tuple[str, str]]:
    """The text's runs with their innermost-last kinds, narration left out."""
    return [(text[s.start : s.end], " ".join(s.kinds)) for s in lex(text) if s.kinds]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"Hi," she said.', [('"Hi,"', "dialogue")]),
        ("_Oh no_, he thought.", [("_Oh no_", "thought")]),
        ("*Clonk.* The lid fell.", [("*Clonk.*", "sound")]),
        ("It was **very** late.", [("**very**", "emphasis")]),
        ("the ''lucky'' spoon", [("''lucky''", "quote")]),
        ("Don't touch the captain's hat", []),
        ("snake_case_name and 5 * 3", []),
        ("> Gone fishing\nHe left.", [("> Gone fishing", "cited")]),
        ('"GET OUT now"', [('"', "dialogue"), ("GET", "dialogue loud"), (" ", "dialogue"),
                            ("OUT", "dialogue loud"), (' now"', "dialogue")]),
        ("I AM, said I", [("AM", "loud")]),
        ('"It is **so** far"', [('"It is ', "dialogue"), ("**so**", "dialogue emphasis"),
                                 (' far"', "dialogue")]),
    ],
)  # fmt: skip
def test_each_mark_has_its_kind(text: str, expected: list[tuple[str, str]]) -> None:
    assert looks(text) == expected


def test_an_open_mark_runs_to_the_end_of_its_line_and_no_further() -> None:
    assert looks("He thought _wait\nThen nothing.") == [("_wait", "thought")]


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        # A lost closing mark: the next speech begins anew, and the rest is as it should be.
        ('"Wait, she said. "Not yet." He sat.', ['"Wait, she said. "Not yet."']),
        ('"Go! "Now." He sat. "Please," she said.', ['"Go! "Now."', '"Please,"']),
        # A lost opening mark: what cannot begin a speech begins none.
        ('Wait," she said. "Not yet." He sat.', ['"Not yet."']),
        ('Wait." He sat.', []),
        # A speech may go on behind one newline; a blank line ends it.
        ('"Dear all,\nwelcome," she read.', ['"Dear all,\nwelcome,"']),
        ('"Wait\n\nThen nothing.', ['"Wait']),
        ('"Wait\n\n"Now," he said.', ['"Wait', '"Now,"']),
        # Other quote marks.
        ("“Wait,” she said. “Now.”", ["“Wait,”", "“Now.”"]),
        ("„Halt!“ rief er. „Wer da?“", ["„Halt!“", "„Wer da?“"]),
        ("« Oui », dit-elle. « Non. »", ["« Oui »", "« Non. »"]),
        ("»Halt«, rief er. »Wer da?«", ["»Halt«", "»Wer da?«"]),
        ("”Vänta”, sa hon.", ["”Vänta”"]),
        ('("Quiet," he said.)', ['"Quiet,"']),
        ('**"Now!"** she cried.', ['"Now!"']),
    ],
)
def test_speech_is_found_whatever_marks_are_lost(text: str, spoken: list[str]) -> None:
    found: list[str] = []
    end = -1
    for span in lex(text):
        if "dialogue" in span.kinds:
            piece = text[span.start : span.end]
            found[-1:] = [found[-1] + piece] if span.start == end else [*found[-1:], piece]
            end = span.end
    assert found == spoken


def test_a_closing_mark_closes_what_is_open_inside_it() -> None:
    assert looks('"so **far" he said') == [('"so ', "dialogue"), ('**far"', "dialogue emphasis")]


def test_a_fence_spans_lines_and_nothing_in_it_is_a_mark() -> None:
    text = 'x\n```text\n"no" _marks_\n```\n"yes"'
    assert looks(text) == [('```text\n"no" _marks_\n```\n', "fence"), ('"yes"', "dialogue")]


@given(MARKED)
def test_spans_cover_the_text_in_order_without_gaps(text: str) -> None:
    spans = lex(text)
    assert "".join(text[s.start : s.end] for s in spans) == text
    assert all(a.end == b.start and a.kinds != b.kinds for a, b in itertools.pairwise(spans))


@given(MARKED | st.text(), st.data())
def test_pieces_of_any_size_give_the_spans_of_the_whole(text: str, data: st.DataObject) -> None:
    lexer = ProseLexer()
    at = 0
    before: list[object] = []
    while at < len(text):
        size = data.draw(st.integers(1, 9))
        changed_from = lexer.feed(text[at : at + size])
        at += size
        unchanged = [s for s in lexer.spans if s.end <= changed_from]
        assert unchanged[:-1] == before[: len(unchanged[:-1])], "spans before it do not change"
        assert lexer.spans == lex(text[:at])
        before = list(lexer.spans)


@given(st.sampled_from(["a", " ", "*", '"', "A", "'", "`", "> ", "_x", "😊"]))
def test_what_is_looked_at_again_does_not_grow_with_the_message(piece: str) -> None:
    lexer = ProseLexer()
    looked_at = []
    for _ in range(600):
        changed_from = lexer.feed(piece)
        looked_at.append(lexer.text_length - changed_from)
    assert max(looked_at) <= 100
