"""Checking: all faults at once, each with its place, in words that name no type of Python's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from shoritui.errors import UserError
from shoritui.toml import (
    FILLED,
    Field,
    Rule,
    expected,
    fields_of,
    meanings_of,
    parse_text,
    problems,
)


def _odd(number: int) -> str:
    return "" if number % 2 else f"not {number}"


@dataclass(frozen=True, slots=True)
class Crew:
    name: Annotated[str, FILLED]
    """Who it is,
    on two lines."""
    rank: Literal["mate", "captain"] = "mate"
    """How high."""
    age: Annotated[int, Meta(ge=0)] | None = None


class Ship(msgspec.Struct):
    masts: Annotated[int, Rule("an odd number", _odd)]
    crew: list[Crew] = []
    cargo: dict[str, Annotated[float, Meta(gt=0, le=100)]] = {}
    colours: tuple[str, ...] = ()
    has_sail: bool = True


def said(text: str) -> list[str]:
    """The sentences about a text, with their paths."""
    sheet = parse_text(Path("ship.toml"), text, "ship")
    return [
        f"{'.'.join(map(str, each.path))}: {each.sentence}"
        for each in problems(sheet.data, fields_of(Ship))
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", ': the "masts" is missing; it must be an odd number'),
        ("masts = 2", 'masts: "masts" must be an odd number, not 2'),
        ("masts = 'two'", 'masts: "masts" must be an odd number, not the text "two"'),
        ("mast = 1", 'mast: "mast" is not a field at the top of the file; did you mean "masts"?'),
        (
            "masts = 1\nxyz = 1",
            'xyz: "xyz" is not a field at the top of the file; '
            "it has masts, crew, cargo, colours, has_sail",
        ),
        ("masts = 1\nhas_sail = 1", 'has_sail: "has_sail" must be true or false, not 1'),
        (
            "masts = 1\ncolours = ['red', 3]",
            'colours.1: "colours" must be a list of texts in quotes, not 3',
        ),
        ("masts = 1\ncrew = 3", "crew: write [[crew]] in double brackets, once for each one"),
        (
            "masts = 1\n[[crew]]\n",
            'crew.0: the "name" of this [[crew]] is missing; it must be text in quotes',
        ),
        (
            "masts = 1\n[[crew]]\nname = ' '",
            'crew.0.name: "name" of [[crew]] must be text in quotes, but it is empty',
        ),
        (
            "masts = 1\n[[crew]]\nname = 'Ann'\nrank = 'Captian'",
            'crew.0.rank: "rank" of [[crew]] must be one of mate, captain, not "Captian"; '
            'did you mean "captain"?',
        ),
        (
            "masts = 1\n[[crew]]\nname = 'Ann'\nage = 1979-05-27",
            'crew.0.age: "age" of [[crew]] must be a whole number of 0 or more, not a date or time',
        ),
        (
            "masts = 1\n[cargo]\ntea = 0\n",
            'cargo.tea: "tea" of [cargo] must be a number above 0 and at most 100, not 0',
        ),
        ("masts = 1\ncargo = []", 'cargo: "cargo" must be a table, not a list'),
    ],
)
def test_a_fault_is_one_sentence(text: str, sentence: str) -> None:
    assert said(text) == [sentence]


def test_all_faults_are_found_and_the_first_line_is_raised() -> None:
    text = "[cargo]\ntea = 'much'\nrum = nan\n[[crew]]\nnam = 'Ann'\nage = -1\n"
    assert len(said(text)) == 5
    sheet = parse_text(Path("ship.toml"), text, "ship")
    with pytest.raises(UserError, match=r"^ship.toml: line 1: .*\(4 more after this one\)$"):
        sheet.raise_first(problems(sheet.data, fields_of(Ship)))


def test_a_control_character_in_a_key_or_value_is_written_as_toml_does() -> None:
    (unknown, _) = said('"\\u001b[2J" = 1\n')
    assert '"\\u001b[2J" is not a field' in unknown
    assert said('masts = "\\u001b[2J"') == [
        'masts: "masts" must be an odd number, not the text "\\u001b[2J"'
    ]


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (float, "a finite number"),
        (Annotated[float, Meta(ge=0, lt=1)], "a number from 0 to below 1"),
        (Annotated[int, Meta(ge=16, le=2**31 - 1)], "a whole number of 16 or more"),
        (list[Literal["a", "b"]], "a list of any of a, b"),
        (Literal[1], "1"),
    ],
)
def test_what_is_expected_is_said_in_words(hint: Any, words: str) -> None:
    assert expected(hint) == words


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 10**400, True, "1", [1.0]])
def test_a_number_is_finite_and_a_number(value: object) -> None:
    assert len(list(problems({"x": value}, {"x": Field(float)}))) == 1


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*fields_of(Ship), "other"]), _values))
def test_whatever_has_no_problem_is_a_record(data: dict[str, Any]) -> None:
    if not list(problems(data, fields_of(Ship))):
        assert isinstance(msgspec.convert(data, Ship), Ship)


def test_the_strings_below_fields_are_their_meanings() -> None:
    assert meanings_of(Crew) == {"name": "Who it is, on two lines.", "rank": "How high."}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('masts = 1\nname = "Ada', 2),
        ("masts = 1\nname = 'Ada\nsails = 2\n", 2),
        ('name = """\nAda\nsails = 2\n', 1),
        ("# it's\nmasts = 1\nname = '''\nAda\n\"x\"\n", 3),
    ],
)
def test_a_text_that_is_never_closed_is_told_where_it_begins(text: str, line: int) -> None:
    with pytest.raises(UserError, match=f"line {line}: the text that begins here is never closed"):
        parse_text(Path("ship.toml"), text, "ship")
