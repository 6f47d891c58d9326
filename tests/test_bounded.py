"""JSON and YAML from outside: a value whose numbers fit, or one sentence."""

from __future__ import annotations

import json
import math
import sys
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.bounded import DEEPEST, Malformed, TooDeep, misfit, read_json, read_yaml

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def numbers_in(value: object) -> list[float]:
    match value:
        case dict():
            return [each for inner in value.values() for each in numbers_in(inner)]
        case list():
            return [each for inner in value for each in numbers_in(inner)]
        case int() | float():
            return [value]
    return []


@given(VALUES)
def test_values_come_back_and_every_number_fits_into_64_bits(value: Any) -> None:
    found = read_json(json.dumps(value))
    assert all(-(2.0**63) <= n < 2**64 for n in numbers_in(found) if isinstance(n, int))
    assert msgspec.json.decode(msgspec.json.encode(found)) == found


@given(st.lists(st.sampled_from(["\\ud83d", "\\udd86", "\\\\ud83d", "\\n", "u", "é", "\\\\"])))
def test_every_text_can_be_written(parts: list[str]) -> None:
    text = f'"{"".join(parts)}"'
    found = read_json(text)
    assert found == json.loads(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_figures_of_our_own_may_be_no_numbers() -> None:
    nan, infinite = read_json("[NaN, -Infinity]", finite=False)
    assert math.isnan(nan) and infinite == -math.inf


@given(st.text() | st.binary(), st.booleans())
def test_any_text_is_a_value_or_one_sentence(text: str | bytes, is_yaml: bool) -> None:
    try:
        read_yaml(str(text)) if is_yaml else read_json(text)
    except Malformed as error:
        assert str(error).isprintable()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("\ufeff[1]", [1]),
        (b"\xef\xbb\xbf[1]", [1]),
        (str(2**64 - 1), 2**64 - 1),
        (str(-(2**63)), -(2**63)),
        (str(2**64), 2**64 - 1),
        ("-1" + "0" * 300, -(2**63)),
        ("[NaN, Infinity, -Infinity]", [None] * 3),
        ("[1e999, -1e999]", [sys.float_info.max, -sys.float_info.max]),
        ("9" * 5000, 2**64 - 1),
        ('"a\tb"', "a\tb"),
        ("[" * DEEPEST + "]" * DEEPEST, ...),
    ],
    ids=[
        *(
            "mark",
            "mark in bytes",
            "most",
            "least",
            "one more",
            "300 digits",
            "none",
            "large",
            "digits",
        ),
        *("tab", "deep"),
    ],
)
def test_odd_json_is_read_as_javascript_would(text: str | bytes, value: object) -> None:
    assert value in (read_json(text), ...)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: this is not JSON (expecting value)"),
        ('{\n"a": 1,\n}', "line 3: this is not JSON"),
        (b'{\n"a": "\xff"}', "line 2: this is not UTF-8 text"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested more than 100 levels deep"),
        ('{"a":' * 900 + "1" + "}" * 900, "nested more than 100 levels deep"),
        ("[" * 100_000, "nested more than 100 levels deep"),
    ],
    ids=["nothing", "a comma", "no UTF-8", "deep", "deep objects", "far too deep"],
)
def test_what_is_no_json_is_told(text: str | bytes, sentence: str) -> None:
    with pytest.raises(Malformed) as raised:
        read_json(text)
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: &a [1]\nb: *a", "line 2: a reference"),
        ("a: 1\nb: 2024-99-99", "line 2: this value is not what it looks like"),
        ("a: " + "9" * 5000, "line 1: this value is not what it looks like"),
        ("a: !!python/object:os.system x", "line 1: this is not YAML"),
        ("a: !\x1b]52;c;x", "this is not YAML"),
        ("a: [1, 2", "line 2: this is not YAML"),
        ("a: " + "[" * 500, "nested more than 100 levels deep"),
        ("? [1]\n: 2", "line 1: this is not YAML"),
    ],
    ids=["reference", "date", "digits", "tag", "escape", "open list", "deep", "key"],
)
def test_what_is_no_plain_yaml_is_told(text: str, sentence: str) -> None:
    with pytest.raises(Malformed) as raised:
        read_yaml(text)
    assert sentence in str(raised.value) and str(raised.value).isprintable()


def test_references_stand_where_they_are_allowed_but_merges_do_not_grow() -> None:
    assert read_yaml("a: &a [1]\nb: *a", references=True) == {"a": [1], "b": [1]}
    grown = "".join(
        f"a{n}: &a{n} {{{', '.join(f'k{n}_{i}: 1' for i in range(500))}}}\n" for n in range(30)
    )
    merged = f"{grown}all: {{<<: [{', '.join(f'*a{n}' for n in range(30))}]}}"
    with pytest.raises(Malformed, match="more than 10000 keys"):
        read_yaml(merged, references=True)


class Row(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    names: list[str | None] = []
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"text": 5}, "text: expected text, not a whole number"),
        ({"text": "", "names": [1.5]}, "names[0]: expected text or nothing, not a number"),
        ({"text": "", "count": 0}, "count: expected a whole number >= 1"),
        ([], "expected an object, not a list"),
        ({}, "object missing required field `text`"),
    ],
)
def test_what_does_not_fit_is_told_in_words(value: object, sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert(value, Row)
    assert misfit(raised.value) == sentence


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"text": 5}, "text: expected text, not 5"),
        ({"text": "", "names": ["a", 1.5]}, "names[1]: expected text or nothing, not 1.5"),
        ({"text": "", "count": -7}, "count: expected a whole number >= 1, not -7"),
        ({"text": "", "count": True}, "count: expected a whole number, not true or false"),
        ({"text": "", "count": "-7"}, "count: expected a whole number >= 1, not -7"),
        ({"text": "", "count": "many"}, "count: expected a whole number, not text"),
        (
            {"text": "", "count": "9" * 5000},
            f"count: expected a number of 64 bits, not {'9' * 29}…",
        ),
    ],
)
def test_a_number_that_does_not_fit_is_told_as_it_stands(value: object, sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert(value, Row, strict=False)
    assert misfit(raised.value, value) == sentence
    assert misfit(raised.value, value, "rows[2].") == f"rows[2].{sentence}"


def test_deep_is_malformed() -> None:
    assert issubclass(TooDeep, Malformed) and issubclass(Malformed, ValueError)
