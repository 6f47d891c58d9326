"""Every parser of text gets through what it is measured on, and says what it should."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.cards.macros import Scope, settle
from shoritui.director.loops import kept_end, whole_end
from shoritui.errors import UserError
from shoritui.interop.datasets.own import _pieces
from shoritui.interop.templates.read import templates_of
from shoritui.names import who_is_called
from shoritui.tui.chat.panels.scene import _KEYS
from tests.benchmarks.growth import COMMON, PARSERS, Parser

LENGTH: Final = 4_000
"""Characters: a parser that tries all ways never ends with so many."""


@pytest.mark.parametrize("parser", PARSERS, ids=lambda each: each.name)
def test_every_parser_gets_through_its_marks(parser: Parser) -> None:
    every = (*parser.marks, *COMMON)
    for mark in (*every, "".join(every)):
        with suppress(UserError, ValueError):
            parser.read(mark * (LENGTH // len(mark)))


def of(*marks: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(marks), max_size=14).map("".join)


@given(of("▀", "▄", "[INST] ", " [/INST]", "---", "-", "\n", " ", "a"))
def test_pieces_of_blockml_are_those_of_the_pattern(text: str) -> None:
    pattern = re.compile(
        r"▀[^▄]*▄|\[INST\] .*? \[/INST\]|^(?P<line>-{3,} *)$", re.DOTALL | re.MULTILINE
    )
    found = [(*each.span(), each["line"] is not None) for each in pattern.finditer(text)]
    assert list(_pieces(text)) == found


@given(of("[INST]", "[/INST]", " ", "\n", "a"))
def test_instructions_are_those_of_the_pattern(text: str) -> None:
    pattern = re.compile(r"\[INST\]\s*(.*?)\s*\[/INST\]", re.DOTALL)
    (template,) = templates_of({"story_string": f"▀{text}"}, "x")
    assert list(template.instructions) == list(
        dict.fromkeys(each for each in pattern.findall(text) if re.search(r"\w", each))
    )


@given(of("{{trim}}", "\n", "\r", "a", " "))
def test_trim_takes_the_line_ends_around_it(text: str) -> None:
    expected = re.sub(r"[\r\n]*\{\{trim\}\}[\r\n]*", "", text)
    assert settle(text, Scope(user="Bo")).text == expected


@given(of("He sat", ".", "!", "…", '"', "”", "“", " ", "\n", "Mr", "。", "」"), st.data())
def test_sentences_end_where_the_pattern_does(text: str, data: st.DataObject) -> None:
    pattern = re.compile(r"(?<!\bMr)(?:[.!?…]+[\"'”’»*_)\]]*(?=\s)|[。！？]+[\"'”’»*_)\]」』）]*)")

    def is_closed(at: int) -> bool:
        line = text[text.rfind("\n", 0, at) + 1 : at]
        return line.count('"') % 2 == 0 and line.count("“") == line.count("”")

    end = data.draw(st.integers(0, len(text)))
    ends = [each.end() for each in pattern.finditer(text) if each.end() <= end]
    closed = [each for each in ends if is_closed(each)]
    if ends:
        assert whole_end(text, end) == (closed or ends)[-1]
    begun = len(text)
    while begun and text.find(text[begun - 1 :], 0, len(text) - 1) >= 0:
        begun -= 1
    kept = [each.end() for each in pattern.finditer(text) if each.end() <= begun]
    assert kept_end(text) == max(filter(is_closed, kept), default=0)


def test_a_long_list_of_names_calls_nobody_by_a_fault() -> None:
    names = {"Mara": (), "Bo": ()}
    assert who_is_called("Mara, Bo, " * 5_000 + "Mara and Bo sat.", names, names) == "Bo"


def test_keys_that_never_close_a_pattern_are_told_at_once() -> None:
    assert _KEYS.findall("/" + "\\a" * 200) == ["/" + "\\a" * 200]
